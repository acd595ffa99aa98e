// What can be seen to be wrong with a translation from the two texts alone, without a model: each
// check gives a number and compares it with a limit. Not here: what happens then
// (translate/ladder.h). Rule: a check that human translations break is worth nothing;
// docs/translation-quality.md has how often each errs, and what share of known damage it finds.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/visitor.h"

namespace nativo::translate {

/// In every one a greater value is worse.
enum class Check {
  kEmpty,          ///< 1 when the source has letters outside protected spans and the result none
  kUntranslated,   ///< share of the source's uncapitalised words that stand in the result, too
  kWrongLanguage,  ///< share of the result's letters that are in another language (CLD2)
  kLengthRatio,    ///< standard deviations between its length and what the source's leads to expect
  kNumbersLost,    ///< numbers of the source that are not in the result in any way of writing them
  kSpansDamaged,  ///< code, formulas, addresses, placeholders, tags.. lost or added; no numbers, no
                  ///< names
  kRepetition,    ///< characters of the longest stretch that goes round in a loop
  kTruncation,    ///< signs of a missing end: no closing mark, a bracket or quote never closed
  kChatter,       ///< phrases of a model that talks about the text, or refuses, instead
};
inline constexpr std::size_t kCheckCount = 9;

/// "empty", "untranslated", "wrong_language", "length_ratio", ...
[[nodiscard]] std::string_view check_name(Check check);

/// [translate.check]: a value above the limit fails.
struct CheckOptions {
  std::vector<std::string> off;
  double untranslated = 0.5;
  double wrong_language = 0.5;
  double length_ratio = 3.5;
  double numbers_lost = 0;
  double spans_damaged = 0;
  double repetition = 20;
  double truncation = 0;
  double chatter = 0;
  void visit(config::Visitor& v);
};

/// One check's outcome.
struct Measurement {
  Check check = Check::kEmpty;
  double value = 0.0;
  double limit = 0.0;
  [[nodiscard]] bool failed() const { return value > limit; }
};

/// How long a translation should be: a source of n letters leads to expect mean * n letters, with a
/// variance of per_letter * n + (per_text * n)^2 (Gale & Church, A Program for Aligning Sentences
/// in Bilingual Corpora, 1993, and a second term, because long texts are not exact either).
struct LengthModel {
  double mean = 1.0;
  double per_letter = 6.8;
  double per_text = 0.25;
};

/// Measured on human translations for en-it and it-en; for other pairs a wide model.
[[nodiscard]] LengthModel length_model(std::string_view from, std::string_view to);

/// Checks translations of one language pair. Thread-safe.
class TranslationChecks {
 public:
  /// Throws Error(kConfig) when `options.off` names an unknown check.
  TranslationChecks(const CheckOptions& options, std::string from, std::string to);

  /// All checks that are on, in the order of Check. Both texts are any bytes.
  [[nodiscard]] std::vector<Measurement> measure(std::string_view source,
                                                 std::string_view translation) const;

 private:
  CheckOptions options_;
  std::array<bool, kCheckCount> on_{};
  std::string from_;
  std::string to_;
  LengthModel length_;
};

/// Letters of `text` outside protected spans.
[[nodiscard]] std::size_t count_letters(std::string_view text);

}  // namespace nativo::translate
