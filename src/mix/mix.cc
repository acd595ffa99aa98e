#include "mix/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/strings.h"

namespace nativo::mix {
namespace {

constexpr std::size_t kBlockRows = 8192;
/// More copies of one record than this are a mistake in the config.
constexpr double kMostCopies = 1000.0;

/// One of the independent questions that are decided by hashing a record's id.
enum class Question : std::uint64_t { kSample = 1, kHeldout = 2, kTarget = 3, kOrder = 4 };

std::uint64_t hash_of(std::string_view id, std::uint64_t seed, Question question) {
  return xxh64(id, Rng(seed, static_cast<std::uint64_t>(question)).next());
}

double uniform(std::uint64_t hash) { return static_cast<double>(hash >> 11U) * 0x1.0p-53; }

double weight_of(const std::string& source, const std::map<std::string, double>& weights) {
  const auto found = weights.find(source);
  return found == weights.end() ? 1.0 : found->second;
}

void check_weights(const std::map<std::string, double>& weights) {
  for (const auto& [source, weight] : weights) {
    if (std::isfinite(weight) && weight >= 0.0 && weight <= kMostCopies) continue;
    throw Error(ExitCode::kConfig,
                fmt::format("source.{}.weight is {}: a weight is a number from 0 to {}", source,
                            weight, kMostCopies),
                "0.5 takes every other record, 2 takes each twice");
  }
}

/// One row to be written: the copy-th appearance of a record.
struct Pick {
  std::size_t row = 0;
  std::uint64_t copy = 1;
};

/// What was decided about a record.
struct Fate {
  bool heldout = false;
  std::uint64_t copies = 0;  ///< appearances by weight
  std::uint64_t written = 0;
};

/// Marks held-out records among those with copies. Records of one id share their fate.
void hold_out(const std::vector<data::Record>& records, const MixOptions& options,
              std::uint64_t seed, std::vector<Fate>& fates) {
  if (options.heldout_share <= 0.0) return;
  std::unordered_map<std::string_view, std::vector<std::size_t>> rows_by_id;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (fates[i].copies > 0) rows_by_id[records[i].id].push_back(i);
  }
  std::vector<std::pair<std::uint64_t, std::string_view>> order;
  std::size_t sampled = 0;
  for (const auto& [id, rows] : rows_by_id) {
    order.emplace_back(hash_of(id, seed, Question::kHeldout), id);
    sampled += rows.size();
  }
  std::ranges::sort(order);
  const auto least = std::min(static_cast<std::size_t>(options.min_heldout), sampled / 2);
  std::size_t held = 0;
  for (const auto& [hash, id] : order) {
    if (uniform(hash) >= options.heldout_share && held >= least) break;
    for (const std::size_t row : rows_by_id[id]) fates[row].heldout = true;
    held += rows_by_id[id].size();
  }
}

/// Everything that is to be written, the lowest hashes when there is a target.
std::vector<Pick> pick(const std::vector<data::Record>& records, const MixOptions& options,
                       std::uint64_t seed, std::vector<Fate>& fates) {
  std::vector<Pick> picks;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::uint64_t copies =
        fates[i].heldout ? std::min<std::uint64_t>(fates[i].copies, 1) : fates[i].copies;
    for (std::uint64_t copy = 1; copy <= copies; ++copy) picks.push_back({.row = i, .copy = copy});
  }
  const auto target = static_cast<std::size_t>(options.target_rows);
  if (target > 0 && picks.size() > target) {
    const auto key = [&](const Pick& p) {
      const std::string name = records[p.row].id + '#' + std::to_string(p.copy);
      return std::tuple(hash_of(name, seed, Question::kTarget), p.row, p.copy);
    };
    std::vector<std::pair<decltype(key(Pick{})), Pick>> keyed;
    keyed.reserve(picks.size());
    for (const Pick& p : picks) keyed.emplace_back(key(p), p);
    std::ranges::sort(keyed, {}, [](const auto& entry) { return entry.first; });
    keyed.resize(target);
    picks.clear();
    for (const auto& [unused, p] : keyed) picks.push_back(p);
    std::ranges::sort(picks, {}, [](const Pick& p) { return std::tuple(p.row, p.copy); });
  }
  // Copies are numbered by what is written: a second one without a first is the first.
  for (Pick& p : picks) p.copy = ++fates[p.row].written;
  return picks;
}

struct Amount {
  std::uint64_t rows = 0;
  std::uint64_t characters = 0;
  void add(std::size_t chars) {
    ++rows;
    characters += chars;
  }
  [[nodiscard]] Json json() const { return {{"rows", rows}, {"characters", characters}}; }
};

struct Split {
  Amount all;
  std::map<std::string, Amount> sources;
  std::map<std::string, Amount> languages;

  [[nodiscard]] Json json() const {
    Json value = all.json();
    value["sources"] = Json::object();
    value["languages"] = Json::object();
    for (const auto& [name, amount] : sources) value["sources"][name] = amount.json();
    for (const auto& [name, amount] : languages) value["languages"][name] = amount.json();
    return value;
  }
};

Json detail_of(const std::vector<data::Record>& records, const std::vector<Fate>& fates) {
  std::map<std::string, Split> splits;
  std::uint64_t copies = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (fates[i].written == 0) continue;
    copies += fates[i].written - 1;
    const std::size_t chars = count_code_points(data::full_text(records[i]));
    Split& split = splits[fates[i].heldout ? "heldout" : "records"];
    for (std::uint64_t copy = 0; copy < fates[i].written; ++copy) {
      split.all.add(chars);
      split.sources[records[i].source].add(chars);
      split.languages[records[i].lang].add(chars);
    }
  }
  Json by_split = Json::object();
  for (const auto& [name, split] : splits) by_split[name] = split.json();
  return {{"splits", std::move(by_split)}, {"copies", copies}};
}

Rejection not_sampled(const data::Record& record, const Fate& fate,
                      const std::map<std::string, double>& weights, const MixOptions& options) {
  return {.rule = "not_sampled",
          .value = fate.copies == 0 ? fmt::format("weight {} of source {}",
                                                  weight_of(record.source, weights), record.source)
                                    : fmt::format("target_rows {}", options.target_rows)};
}

}  // namespace

data::Manifest run_mix(const std::filesystem::path& folder, const data::StageSpec& spec,
                       data::RecordReader& reader, const std::map<std::string, double>& weights,
                       const MixOptions& options, std::uint64_t seed, io::Disk& disk) {
  check_weights(weights);
  data::StageWriter writer(folder, spec, disk);
  std::vector<data::Record> records;
  for (data::Record record; reader.next(record);) records.push_back(std::move(record));

  std::vector<Fate> fates(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const double weight = weight_of(records[i].source, weights);
    const double whole = std::floor(weight);
    const double chance = uniform(hash_of(records[i].id, seed, Question::kSample));
    fates[i].copies = static_cast<std::uint64_t>(whole) + (chance < weight - whole ? 1U : 0U);
  }
  hold_out(records, options, seed, fates);
  const std::vector<Pick> picks = pick(records, options, seed, fates);
  writer.detail() = detail_of(records, fates);
  const std::vector<std::size_t> order =
      permutation(picks.size(), seed, static_cast<std::uint64_t>(Question::kOrder));

  Progress progress(spec.name, picks.size(), "rows");
  std::uint64_t index = 0;
  for (; index * kBlockRows < picks.size(); ++index) {
    const std::size_t begin = index * kBlockRows;
    const std::size_t end = std::min(picks.size(), begin + kBlockRows);
    progress.advance(end - begin);
    if (writer.block_done(index)) continue;
    stop_if_interrupted();
    for (std::size_t i = begin; i < end; ++i) {
      const Pick& p = picks[order[i]];
      const std::string_view output = fates[p.row].heldout ? "heldout" : "records";
      if (p.copy == 1) {
        writer.count_in();
        writer.keep(records[p.row], output);
        continue;
      }
      writer.count_added();
      data::Record copy = records[p.row];
      data::add_lineage(copy, spec.name, {{"copy", p.copy}});
      writer.keep(copy, output);
    }
    writer.end_block(index);
  }
  // What was not sampled, in a block of its own.
  if (!writer.block_done(index)) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (fates[i].written > 0) continue;
      writer.count_in();
      writer.reject({.record = records[i],
                     .reason = not_sampled(records[i], fates[i], weights, options),
                     .origin = {},
                     .raw = {}});
    }
    writer.end_block(index);
  }
  return writer.finish();
}

}  // namespace nativo::mix
