// What the stage translate says of itself. See run_files.h.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "report/run_fields.h"
#include "report/run_parts.h"

namespace nativo::report {
namespace fs = std::filesystem;
namespace {

std::string failures_text(const Json& failures, const std::string& where) {
  std::string text;
  if (!failures.is_array()) return text;
  for (const Json& failure : failures) {
    const Fields fields(failure, where);
    text += fmt::format("{}{}: {} {}", text.empty() ? "; failed before: " : ", ",
                        fields.text("step"), fields.text("rule"), fields.text("value"));
  }
  return text;
}

std::vector<TranslationPair> read_pairs(const Json& json, const char* key,
                                        const std::string& where) {
  std::vector<TranslationPair> pairs;
  const Json& list = Fields(json, where).at(key);
  if (!list.is_array()) return pairs;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Fields one(list[i], fmt::format("{}: {}[{}]", where, key, i));
    TranslationPair pair{one.text("source"), one.text("translation"), one.text("step")};
    if (pair.note.empty()) pair.note = one.text("rule") + ": " + one.text("value");
    if (const auto ratio = one.number("length_ratio"); ratio && *ratio > 0) {
      pair.note += fmt::format(", length {:.2f}", *ratio);
    }
    if (const auto unknown = one.number("unknown_words"); unknown && *unknown > 0) {
      pair.note += fmt::format(", {:.0f} % unknown words", 100.0 * *unknown);
    }
    if (const auto back = one.number("round_trip")) {
      pair.note += fmt::format(", round trip chrF2 {:.0f}", *back);
    }
    pair.note += failures_text(one.at("failures"), one.where() + ": failures");
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// "argos", or all of a ladder's engines.
std::string engines_text(const Json& engine) {
  if (engine.is_string()) return engine.get<std::string>();
  std::string text;
  if (!engine.is_array()) return text;
  for (const Json& name : engine) {
    if (name.is_string()) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  }
  return text;
}

/// Lower edges and their rows, in order; empty when there is none.
std::vector<std::pair<double, std::uint64_t>> histogram_of(const Fields& fields, const char* key) {
  std::vector<std::pair<double, std::uint64_t>> rows_from;
  for (const auto& [edge, rows] : fields.counts(key)) {
    double lower = 0;
    const auto [end, error] = std::from_chars(edge.data(), edge.data() + edge.size(), lower);
    if (error != std::errc() || end != edge.data() + edge.size() || !(lower >= 0 && lower <= 100)) {
      fields.fail(key, "edges are numbers");
    }
    rows_from.emplace_back(lower, rows);
  }
  std::ranges::sort(rows_from);
  return rows_from;
}

}  // namespace

void read_translation(const fs::path& folder, RunFiles& run) {
  const fs::path path = folder / "stages" / "translate" / "manifest.json";
  const auto manifest = read_json(path);
  if (!manifest) return;
  const Json& detail = Fields(*manifest, path.native()).at("detail");
  if (!detail.is_object() || !detail.contains("rows_by_step")) return;
  const Fields fields(detail, path.native() + ": detail");
  TranslationFacts facts;
  facts.engine = engines_text(fields.at("engine"));
  facts.rows_by_step = fields.counts("rows_by_step");
  if (const Json& failures = fields.at("failures"); failures.is_object()) {
    for (const auto& [step, rules] : failures.items()) {
      facts.failures.emplace_back(step, fields.inner("failures").counts(step.c_str()));
    }
  }
  facts.length_ratios = histogram_of(fields, "length_ratio");
  facts.round_trips = histogram_of(fields, "round_trip");
  const fs::path review_path = folder / "translation-review.json";
  const auto review = read_json(review_path);
  // Of another translation than the manifest's it says nothing.
  if (review && Fields(*review, review_path.native()).text("key") ==
                    Fields(*manifest, path.native()).text("key")) {
    facts.worst = read_pairs(*review, "worst", review_path.native());
    facts.rejected = read_pairs(*review, "rejected", review_path.native());
  }
  run.translation = std::move(facts);
}

}  // namespace nativo::report
