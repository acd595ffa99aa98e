#include "eval/translation_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "eval/bleu.h"
#include "eval/bootstrap.h"
#include "text/chrf.h"

namespace nativo::eval {
namespace {

/// Counts of a segment as numbers that add up: BLEU's, then chrF's.
constexpr std::size_t kBleuNumbers = 2 * kBleuOrder + 2;
constexpr std::size_t kNumbers = kBleuNumbers + 3 * text::kChrfOrder;
using Numbers = std::array<double, kNumbers>;

Numbers count(const std::string& hypothesis, const std::vector<std::string>& references) {
  const BleuCounts words = bleu_counts(hypothesis, references);
  const text::ChrfCounts characters = text::chrf_counts(hypothesis, references);
  Numbers numbers{};
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    numbers[n] = words.correct[n];
    numbers[kBleuOrder + n] = words.total[n];
  }
  numbers[2 * kBleuOrder] = words.hypothesis_length;
  numbers[2 * kBleuOrder + 1] = words.reference_length;
  std::ranges::copy(characters, numbers.begin() + kBleuNumbers);
  return numbers;
}

BleuCounts bleu_part(const Numbers& numbers) {
  BleuCounts words;
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    words.correct[n] = numbers[n];
    words.total[n] = numbers[kBleuOrder + n];
  }
  words.hypothesis_length = numbers[2 * kBleuOrder];
  words.reference_length = numbers[2 * kBleuOrder + 1];
  return words;
}

double chrf_of(const Numbers& numbers) {
  text::ChrfCounts characters{};
  std::copy(numbers.begin() + kBleuNumbers, numbers.end(), characters.begin());
  return text::chrf_score(characters);
}

/// A score and what it became in each resample.
struct Estimate {
  double value = 0.0;
  std::vector<double> draws;
};

struct System {
  std::vector<Numbers> segments;
  Numbers sum{};
  Estimate bleu;
  Estimate chrf;
};

System measure(const TranslationSet& set, const TranslationScoreOptions& options) {
  System system;
  system.segments.resize(set.hypotheses.size());
  parallel_for(set.hypotheses.size(), [&](std::size_t i) {
    system.segments[i] = count(set.hypotheses[i], set.references[i]);
  });
  for (const Numbers& segment : system.segments) {
    for (std::size_t k = 0; k < kNumbers; ++k) system.sum[k] += segment[k];
  }
  system.bleu.value = bleu(bleu_part(system.sum), BleuOrders::kAll).score;
  system.chrf.value = chrf_of(system.sum);
  if (options.resamples == 0) return system;
  std::array<std::vector<double>, kNumbers> columns;
  std::vector<std::span<const double>> views;
  for (std::size_t k = 0; k < kNumbers; ++k) {
    for (const Numbers& segment : system.segments) columns[k].push_back(segment[k]);
    views.emplace_back(columns[k]);
  }
  const std::vector<std::vector<double>> means =
      bootstrap_means(views, options.resamples, options.seed, "translation");
  for (std::size_t r = 0; r < static_cast<std::size_t>(options.resamples); ++r) {
    Numbers resample{};  // sums again: smoothing depends on how many n-grams there are
    for (std::size_t k = 0; k < kNumbers; ++k) {
      resample[k] = means[k][r] * static_cast<double>(system.segments.size());
    }
    system.bleu.draws.push_back(bleu(bleu_part(resample), BleuOrders::kAll).score);
    system.chrf.draws.push_back(chrf_of(resample));
  }
  return system;
}

void put_interval(Json& entry, std::vector<double> draws, double confidence) {
  if (draws.empty()) return;
  const Interval interval = percentile_interval(std::move(draws), confidence);
  entry["low"] = interval.low;
  entry["high"] = interval.high;
}

Json score_json(const Estimate& estimate, double confidence) {
  Json entry = {{"score", estimate.value}};
  put_interval(entry, estimate.draws, confidence);
  return entry;
}

Json difference_json(const Estimate& base, const Estimate& other, double confidence) {
  Json entry = {{"points", other.value - base.value}};
  std::vector<double> draws;
  for (std::size_t r = 0; r < other.draws.size(); ++r) {
    draws.push_back(other.draws[r] - base.draws[r]);
  }
  put_interval(entry, std::move(draws), confidence);
  return entry;
}

Json bleu_json(const System& system, double confidence) {
  Json entry = score_json(system.bleu, confidence);
  const BleuCounts counts = bleu_part(system.sum);
  const Bleu details = bleu(counts, BleuOrders::kAll);
  entry["precisions"] = details.precisions;
  entry["brevity_penalty"] = details.brevity_penalty;
  entry["hypothesis_length"] = counts.hypothesis_length;
  entry["reference_length"] = counts.reference_length;
  return entry;
}

std::string reference_count(const TranslationSet& set) {
  const std::size_t first = set.references.front().size();
  const bool equal = std::ranges::all_of(
      set.references, [first](const auto& references) { return references.size() == first; });
  return equal ? fmt::format("{}", first) : "var";
}

std::string interval_text(const Json& entry, const char* format) {
  if (!entry.contains("low")) return {};
  return fmt::format(fmt::runtime(format), entry["low"].get<double>(), entry["high"].get<double>());
}

}  // namespace

Json score_translations(std::span<const TranslationSet> systems,
                        const TranslationScoreOptions& options) {
  NATIVO_CHECK(!systems.empty(), "there is a system to score");
  Json all = Json::array();
  System first;
  for (std::size_t s = 0; s < systems.size(); ++s) {
    const TranslationSet& set = systems[s];
    System system = measure(set, options);
    const std::string sampled = options.resamples == 0
                                    ? fmt::format("nrefs:{}", reference_count(set))
                                    : fmt::format("nrefs:{}|bs:{}|seed:{}", reference_count(set),
                                                  options.resamples, options.seed);
    Json entry = {{"name", set.name},
                  {"segments", set.hypotheses.size()},
                  {"missing", set.missing},
                  {"bleu", bleu_json(system, options.confidence)},
                  {"chrf", score_json(system.chrf, options.confidence)}};
    entry["bleu"]["signature"] = sampled + "|case:mixed|eff:no|tok:13a|smooth:exp";
    entry["chrf"]["signature"] = sampled + "|case:mixed|eff:yes|nc:6|nw:0|space:no";
    if (s > 0 && system.segments.size() == first.segments.size()) {
      entry["difference"] = {
          {"bleu", difference_json(first.bleu, system.bleu, options.confidence)},
          {"chrf", difference_json(first.chrf, system.chrf, options.confidence)}};
    }
    if (options.segments) {
      Json list = Json::array();
      for (const Numbers& segment : system.segments) {
        list.push_back({{"bleu", bleu(bleu_part(segment), BleuOrders::kEffective).score},
                        {"chrf", chrf_of(segment)}});
      }
      entry["per_segment"] = std::move(list);
    }
    all.push_back(std::move(entry));
    if (s == 0) first = std::move(system);
  }
  return {{"format", 1},
          {"confidence", options.confidence},
          {"resamples", options.resamples},
          {"seed", options.seed},
          {"systems", std::move(all)}};
}

std::string translation_table(const Json& scores) {
  const std::string percent = fmt::format("{:g}%", 100.0 * scores["confidence"].get<double>());
  std::string table = fmt::format("{:>9} {:>7} {:>14} {:>7} {:>14}  {}\n", "segments", "BLEU",
                                  percent, "chrF2", percent, "translations");
  for (const Json& system : scores["systems"]) {
    table += fmt::format(
        "{:>9} {:>7.2f} {:>14} {:>7.2f} {:>14}  {}\n", system["segments"].get<std::uint64_t>(),
        system["bleu"]["score"].get<double>(), interval_text(system["bleu"], "[{:.2f}, {:.2f}]"),
        system["chrf"]["score"].get<double>(), interval_text(system["chrf"], "[{:.2f}, {:.2f}]"),
        printable(system["name"].get<std::string>()));
    if (const auto change = system.find("difference"); change != system.end()) {
      table += fmt::format("{:>9} {:>+7.2f} {:>14} {:>+7.2f} {:>14}  beside the first\n", "",
                           (*change)["bleu"]["points"].get<double>(),
                           interval_text((*change)["bleu"], "[{:+.2f}, {:+.2f}]"),
                           (*change)["chrf"]["points"].get<double>(),
                           interval_text((*change)["chrf"], "[{:+.2f}, {:+.2f}]"));
    }
    if (const auto missing = system["missing"].get<std::uint64_t>(); missing > 0) {
      table += fmt::format("{:>9} references have no translation and are left out\n", missing);
    }
  }
  const Json& first = scores["systems"].front();
  return table + fmt::format("BLEU  {}\nchrF2 {}\n", first["bleu"]["signature"].get<std::string>(),
                             first["chrf"]["signature"].get<std::string>());
}

}  // namespace nativo::eval
