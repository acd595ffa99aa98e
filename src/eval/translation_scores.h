// BLEU and chrF2 of systems that translated, with their uncertainty: per segment, over the corpus,
// and beside the first system. Rule: no score without its signature and its interval.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"
#include "eval/translation_files.h"

namespace nativo::eval {

struct TranslationScoreOptions {
  std::int64_t resamples = 1000;  ///< of the bootstrap over segments; 0 = no intervals
  double confidence = 0.95;
  std::int64_t seed = 1234;
  bool segments = false;  ///< also the scores of each segment
};

/// Format: docs/formats/eval.md, "translation". `systems` has at least one; each after the first is
/// compared with it, with the same segments resampled for both, where both have the same number of
/// segments. The same bits for any number of threads.
[[nodiscard]] Json score_translations(std::span<const TranslationSet> systems,
                                      const TranslationScoreOptions& options);

/// score_translations()'s JSON for a terminal, with a final newline.
[[nodiscard]] std::string translation_table(const Json& scores);

}  // namespace nativo::eval
