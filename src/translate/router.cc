#include "translate/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/strings.h"
#include "io/lines.h"
#include "text/normalize.h"
#include "text/protected_spans.h"
#include "text/words.h"

namespace nativo::translate {
namespace {

constexpr std::array<std::string_view, kFeatureCount> kNames = {"length", "rarity", "code",
                                                                "markup", "maths",  "names"};

/// `text` with a space for each protected span.
std::string outside(std::string_view text, const std::vector<text::Span>& spans) {
  std::string bare;
  std::size_t at = 0;
  for (const text::Span& span : spans) {
    bare += text.substr(at, span.begin - at);
    bare += ' ';
    at = span.end;
  }
  return bare.append(text.substr(at));
}

/// Sums over the messages of a record.
struct Tally {
  double words = 0;
  double rare = 0;
  double names = 0;
  double bytes = 0;
  double code_bytes = 0;
  double maths_bytes = 0;
  double marks = 0;
};

void add_spans(std::string_view text, const std::vector<text::Span>& spans, Tally& tally) {
  tally.bytes += static_cast<double>(text.size());
  for (const text::Span& span : spans) {
    const auto bytes = static_cast<double>(span.end - span.begin);
    switch (span.kind) {
      case text::SpanKind::kFencedCode:
      case text::SpanKind::kCodeLines:
      case text::SpanKind::kInlineCode:
        tally.code_bytes += bytes;
        break;
      case text::SpanKind::kMath:
        tally.maths_bytes += bytes;
        break;
      case text::SpanKind::kTag:
      case text::SpanKind::kPlaceholder:
      case text::SpanKind::kLiteral:
        tally.marks += 1;
        break;
      default:
        break;
    }
  }
}

bool is_capital(std::string_view word) {
  return text::fold_case(word) != word && !(word.front() >= 'a' && word.front() <= 'z');
}

void add_words(std::string_view bare, const WordFrequencies& frequencies, std::int64_t rare_count,
               Tally& tally) {
  bool inside = false;  // a sentence has begun
  for (const text::Word& word : text::split_words(bare)) {
    if (word.punctuation) {
      const char mark = word.text.front();
      if (mark == '.' || mark == '!' || mark == '?' || mark == ':' || mark == '"') inside = false;
      continue;
    }
    if (!word.alphabetic) continue;
    tally.words += 1;
    const bool name = inside && word.chars > 1 && is_capital(word.text);
    if (name) tally.names += 1;
    if (!name &&
        frequencies.count(text::fold_case(word.text)) < static_cast<std::uint64_t>(rare_count)) {
      tally.rare += 1;
    }
    inside = true;
  }
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

std::size_t step_named(const std::vector<std::string>& steps, const std::string& name,
                       const std::string& key) {
  const auto found = std::ranges::find(steps, name);
  if (found != steps.end()) return static_cast<std::size_t>(found - steps.begin());
  throw Error(ExitCode::kConfig,
              fmt::format("{} = \"{}\": the ladder has no such step", key, printable(name)),
              fmt::format("translate.ladder has {}", fmt::join(steps, ", ")));
}

double rounded(double value) { return std::round(value * 1000.0) / 1000.0; }

}  // namespace

std::string_view feature_name(Feature feature) { return kNames[static_cast<std::size_t>(feature)]; }

void FeatureOptions::visit(config::Visitor& v) {
  v.value({.name = "full", .help = "value from which on the whole weight counts", .min = 1e-9},
          full);
  v.value({.name = "weight",
           .help = "what it adds to the score then; less in proportion below",
           .min = 0},
          weight);
}

void RouteOptions::visit(config::Visitor& v) {
  v.value(
      {.name = "complex",
       .help = "step of the ladder at which complex records begin; empty = all begin at the first"},
      complex);
  v.value({.name = "threshold", .help = "score from which on a record is complex", .min = 0},
          threshold);
  v.path({.name = "frequencies",
          .help = "lines of a word and its count; empty = counted on the records themselves"},
         frequencies);
  v.value({.name = "rare_count",
           .help = "a word that the frequencies have less often is rare",
           .min = 0,
           .max = 1e12},
          rare_count);
  v.table({.name = "length", .help = "words of a record"}, length);
  v.table({.name = "rarity", .help = "share of rare words, names left out"}, rarity);
  v.table({.name = "code", .help = "share of bytes in code"}, code);
  v.table({.name = "markup", .help = "tags, placeholders and literals a hundred words"}, markup);
  v.table({.name = "maths", .help = "share of bytes in formulas"}, maths);
  v.table({.name = "names", .help = "share of words capitalised inside a sentence"}, names);
}

void WordFrequencies::add(std::string_view text) {
  const std::string bare = outside(text, text::find_spans(text));
  for (const text::Word& word : text::split_words(bare)) {
    if (word.alphabetic) ++counts_[text::fold_case(word.text)];
  }
}

WordFrequencies WordFrequencies::load(const std::string& path) {
  WordFrequencies frequencies;
  io::LineReader reader(path);
  for (std::string line; reader.next(line);) {
    const std::string_view content = trim(line);
    if (content.empty()) continue;
    const std::size_t space = content.find_last_of(" \t");
    std::uint64_t count = 0;
    bool good = space != content.npos && is_valid_utf8(content);
    if (good) {
      const std::string_view digits = content.substr(space + 1);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), count);
      good = error == std::errc() && end == digits.data() + digits.size();
    }
    if (!good) {
      throw Error(ExitCode::kData,
                  fmt::format("{}:{}: a word and its count are wanted", path, reader.line_number()),
                  "translate.route.frequencies has lines like \"house 1234\"");
    }
    frequencies.counts_[text::fold_case(trim(content.substr(0, space)))] += count;
  }
  return frequencies;
}

std::uint64_t WordFrequencies::count(std::string_view folded_word) const {
  const auto found = counts_.find(std::string(folded_word));
  return found == counts_.end() ? 0 : found->second;
}

std::array<double, kFeatureCount> measure_features(const data::Record& record,
                                                   const WordFrequencies& frequencies,
                                                   std::int64_t rare_count) {
  Tally tally;
  const auto add = [&](std::string_view text) {
    const std::vector<text::Span> spans = text::find_spans(text);
    add_spans(text, spans, tally);
    add_words(outside(text, spans), frequencies, rare_count, tally);
  };
  for (const data::Message& message : record.messages) add(message.content);
  if (record.messages.empty()) add(record.text);
  return {tally.words,
          share(tally.rare, tally.words),
          share(tally.code_bytes, tally.bytes),
          100.0 * share(tally.marks, std::max(tally.words, 1.0)),
          share(tally.maths_bytes, tally.bytes),
          share(tally.names, tally.words)};
}

Json to_json(const Route& route, std::span<const std::string> steps) {
  Json json = {{"to", steps[route.step]}};
  if (route.by_source) {
    json["why"] = "source";
    return json;
  }
  json["score"] = rounded(route.score);
  json["why"] = Json::object();
  for (const auto& [feature, added] : route.parts) {
    json["why"][std::string(feature_name(feature))] = rounded(added);
  }
  return json;
}

Router::Router(const RouteOptions& options, std::vector<std::string> steps,
               const std::map<std::string, std::string>& by_source,
               const WordFrequencies& frequencies)
    : options_(options), steps_(std::move(steps)), frequencies_(frequencies) {
  if (!options_.complex.empty()) {
    complex_ = step_named(steps_, options_.complex, "translate.route.complex");
  }
  for (const auto& [source, step] : by_source) {
    if (!step.empty())
      by_source_[source] = step_named(steps_, step, "source." + source + ".translate");
  }
}

Route Router::route(const data::Record& record) const {
  Route route;
  if (const auto found = by_source_.find(record.source); found != by_source_.end()) {
    route.step = found->second;
    route.by_source = true;
    return route;
  }
  if (complex_ == 0) return route;
  const std::array<double, kFeatureCount> values =
      measure_features(record, frequencies_, options_.rare_count);
  const std::array<const FeatureOptions*, kFeatureCount> rules = {
      &options_.length, &options_.rarity, &options_.code,
      &options_.markup, &options_.maths,  &options_.names};
  for (std::size_t f = 0; f < kFeatureCount; ++f) {
    const double added = rules[f]->weight * std::min(1.0, values[f] / rules[f]->full);
    if (added <= 0) continue;
    route.score += added;
    route.parts.emplace_back(static_cast<Feature>(f), added);
  }
  std::ranges::stable_sort(route.parts,
                           [](const auto& a, const auto& b) { return a.second > b.second; });
  if (route.score >= options_.threshold) route.step = complex_;
  return route;
}

}  // namespace nativo::translate
