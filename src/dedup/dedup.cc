#include "dedup/dedup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/strings.h"
#include "dedup/near.h"
#include "text/normalize.h"
#include "text/words.h"

namespace nativo::dedup {
namespace {

constexpr std::size_t kBlockRows = 8192;

bool is_translated(const data::Record& record) {
  return record.lineage.is_array() && std::ranges::any_of(record.lineage, [](const Json& entry) {
           if (!entry.is_object()) return false;
           const auto stage = entry.find("stage");
           return stage != entry.end() && *stage == "translate";
         });
}

/// What makes two records equal: roles and folded contents.
std::string exact_key(const data::Record& record) {
  std::string key;
  for (const data::Message& message : record.messages) {
    key += message.role + '\x1F' + text::fold_text(message.content) + '\x1E';
  }
  if (record.messages.empty()) key = text::fold_text(record.text);
  return xxh128_hex(key);
}

std::string compared_text(const data::Record& record) {
  if (record.messages.empty()) return record.text;
  std::string text;
  for (const data::Message& message : record.messages) {
    if (message.role != "system") text += message.content + "\n";
  }
  return text;
}

/// Hash of the numbers in `text`, whatever their order; never 0.
std::uint64_t hash_numbers(std::string_view text) {
  std::uint64_t sum = 1;
  for (const text::Word& word : text::split_words(text)) {
    const bool number = std::ranges::any_of(word.text, [](char c) { return c >= '0' && c <= '9'; });
    if (number) sum += xxh64(word.text) | 1U;
  }
  return sum == 0 ? 1 : sum;
}

/// How much is known about a record that decides who stays.
struct Rank {
  bool translated = false;
  std::size_t characters = 0;
};

/// Positions of `ranks` with those that should stay first.
std::vector<std::size_t> order_of_preference(const std::vector<Rank>& ranks) {
  std::vector<std::size_t> order(ranks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (ranks[a].translated != ranks[b].translated) return !ranks[a].translated;
    return ranks[a].characters > ranks[b].characters;
  });
  return order;
}

/// What was decided about all records.
struct Decisions {
  std::vector<std::optional<Rejection>> rejections;
  std::vector<std::uint64_t> stands_for;  ///< rows that were dropped for this one
  std::map<std::string, std::uint64_t> cosines;
};

void drop(Decisions& decisions, std::size_t row, std::size_t kept, Rejection reason) {
  decisions.rejections[row] = std::move(reason);
  decisions.stands_for[kept] += 1 + std::exchange(decisions.stands_for[row], 0);
}

/// Drops exact duplicates; returns the rows that stay, in order of preference.
std::vector<std::size_t> drop_exact(const std::vector<data::Record>& records,
                                    Decisions& decisions) {
  std::vector<std::string> keys(records.size());
  std::vector<Rank> ranks(records.size());
  parallel_for(records.size(), [&](std::size_t i) {
    keys[i] = exact_key(records[i]);
    ranks[i] = {.translated = is_translated(records[i]),
                .characters = count_code_points(data::full_text(records[i]))};
  });
  std::vector<std::size_t> kept;
  std::unordered_map<std::string_view, std::size_t> first;
  for (const std::size_t row : order_of_preference(ranks)) {
    const auto [found, is_new] = first.try_emplace(keys[row], row);
    if (is_new) {
      kept.push_back(row);
    } else {
      drop(decisions, row, found->second,
           {.rule = "exact_duplicate", .value = "of " + records[found->second].id});
    }
  }
  return kept;
}

void drop_near(const std::vector<data::Record>& records, const std::vector<std::size_t>& rows,
               const DedupOptions& options, std::string_view stage, Decisions& decisions) {
  Progress progress(std::string(stage), rows.size(), "rows");
  const auto candidate = [&](std::size_t i) {
    const data::Record& record = records[rows[i]];
    const std::string text = compared_text(record);
    const bool numbers = options.numbers_matter && !record.messages.empty();
    return Candidate{.folded = text::fold_text(text), .numbers = numbers ? hash_numbers(text) : 0};
  };
  const std::vector<Match> matches =
      find_near(rows.size(), candidate, options, [&](std::size_t done) { progress.advance(done); });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (matches[i].kept == Match::kNone) continue;
    const std::size_t kept = rows[matches[i].kept];
    drop(decisions, rows[i], kept,
         {.rule = "near_duplicate",
          .value = fmt::format("cosine {:.4f} >= {} of {}", matches[i].cosine, options.threshold,
                               records[kept].id)});
    ++decisions.cosines[fmt::format("{:.2f}", std::floor(matches[i].cosine * 100.0) / 100.0)];
  }
}

Json detail_of(const std::vector<data::Record>& records, const Decisions& decisions) {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sources;
  std::uint64_t exact = 0;
  std::uint64_t near = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    auto& [rows_in, rows_out] = sources[records[i].source];
    ++rows_in;
    if (!decisions.rejections[i]) {
      ++rows_out;
    } else {
      ++(decisions.rejections[i]->rule == "exact_duplicate" ? exact : near);
    }
  }
  Json by_source = Json::object();
  for (const auto& [name, rows] : sources) {
    by_source[name] = {{"rows_in", rows.first}, {"rows_out", rows.second}};
  }
  const auto largest = std::ranges::max_element(decisions.stands_for);
  return {{"exact", exact},
          {"near", near},
          {"largest_group", largest == decisions.stands_for.end() ? 0 : *largest},
          {"cosine_histogram", Json(decisions.cosines)},
          {"sources", std::move(by_source)}};
}

}  // namespace

data::Manifest run_dedup(const std::filesystem::path& folder, const data::StageSpec& spec,
                         data::RecordReader& reader, const DedupOptions& options, io::Disk& disk) {
  data::StageWriter writer(folder, spec, disk);
  std::vector<data::Record> records;
  for (data::Record record; reader.next(record);) records.push_back(std::move(record));

  Decisions decisions;
  decisions.rejections.resize(records.size());
  decisions.stands_for.resize(records.size());
  const std::vector<std::size_t> rows = drop_exact(records, decisions);
  if (options.near_duplicates) drop_near(records, rows, options, spec.name, decisions);
  writer.detail() = detail_of(records, decisions);

  for (std::uint64_t index = 0; index * kBlockRows < records.size(); ++index) {
    if (writer.block_done(index)) continue;
    stop_if_interrupted();
    const std::size_t begin = index * kBlockRows;
    const std::size_t end = std::min(records.size(), begin + kBlockRows);
    writer.count_in(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      data::Record& record = records[i];
      if (decisions.rejections[i]) {
        writer.reject({.record = std::move(record),
                       .reason = std::move(*decisions.rejections[i]),
                       .origin = {},
                       .raw = {}});
        continue;
      }
      if (decisions.stands_for[i] > 0) {
        data::add_lineage(record, spec.name, {{"stands_for", decisions.stands_for[i]}});
      }
      writer.keep(record);
    }
    writer.end_block(index);
  }
  return writer.finish();
}

}  // namespace nativo::dedup
