// Engines from the cheapest to the best: a record begins where the router says, and goes one step
// up each time its translation fails a check. Rule: nothing is repaired by hope; a record leaves
// the ladder with a translation that passed every check, or with the reason of the last step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "data/record.h"
#include "translate/checks.h"
#include "translate/message_translator.h"

namespace nativo::translate {

struct TranslateOptions;  // translate/translate_stage.h

/// One step: an engine under the name that the pipeline file gives it.
struct LadderStep {
  std::string name;
  TranslationEngine* engine = nullptr;  ///< not owned
};

/// Why a record went up from a step, or out.
struct StepFailure {
  std::string step;
  Rejection reason;
};

/// What became of one record.
struct Climb {
  std::size_t step = 0;               ///< the last one tried
  std::vector<StepFailure> failures;  ///< in order; when rejected, the last is the reason
  bool rejected = false;
  std::vector<std::string>
      contents;  ///< the messages' translations, or the text's; empty if rejected
  std::size_t sentences = 0;
  std::size_t numbers_localized = 0;
  std::size_t terms = 0;             ///< places where a term of the glossary was put in
  std::size_t wraps = 0;             ///< line breaks of wrapped paragraphs, taken out and put back
  std::size_t cuts = 0;              ///< places where sentences too long for the engine were cut
  double unknown_words = 0.0;        ///< share of the words that the engine did not know
  double length_ratio = 0.0;         ///< letters of the translation for one of the source; 0 = none
  std::optional<double> round_trip;  ///< chrF2 of the source and its translation translated back
};

/// Not thread-safe.
class Ladder {
 public:
  /// `steps` (not empty), their engines, `memory` and `back` (which translates the other way; null
  /// = no round trip) must outlive this. Throws Error(kConfig) for wrong check options.
  Ladder(std::span<const LadderStep> steps, const TranslateOptions& options, std::string to,
         const PrepareRules& rules, TranslationMemory& memory, TranslationEngine* back);

  /// One result a record, in order; `starts` says where each begins. Every record by itself: what
  /// becomes of it depends on no other. Failures are, in the order in which they are looked for:
  /// engine_failed, protected_span_*, too_many_unknown_words, the checks by their names,
  /// round_trip.
  [[nodiscard]] std::vector<Climb> climb(std::span<const data::Record* const> records,
                                         std::span<const std::size_t> starts);

  /// Of all steps together.
  [[nodiscard]] AskedCounts counts() const;

 private:
  struct Open;
  void translate_back(std::vector<Open*>& open);
  [[nodiscard]] std::optional<Rejection> judge(const Open& open, Climb& climb) const;

  std::vector<std::string> names_;
  std::vector<MessageTranslator> translators_;
  std::optional<MessageTranslator> back_;
  TranslationChecks checks_;
  double max_unknown_;
  double min_round_trip_;
};

/// The failures as JSON: [{"step", "rule", "value"}].
[[nodiscard]] Json to_json(const std::vector<StepFailure>& failures);

}  // namespace nativo::translate
