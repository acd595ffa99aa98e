// Evaluation: one model's result, and two models beside each other with their uncertainty.
// Rule: no number without the items it came from, no difference without an interval.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "eval/options.h"
#include "eval/result.h"
#include "generate/language_model.h"

namespace nativo::eval {

/// Puts every task of `options` to `model`, in the order of their names. All files are read before
/// anything is asked. `label` names the model in files and tables. Throws Error: kConfig for tasks
/// that make no sense, kMissingInput and kData for their files, kTryAgain when interrupted.
[[nodiscard]] EvalResult run_eval(generate::LanguageModel& model, const EvalOptions& options,
                                  std::string label);

/// Fingerprints of the tasks that run_eval would put, by name: {"qa": "ab12.."}. A cached result is
/// still good when its tasks have these. Throws as run_eval does.
[[nodiscard]] Json fingerprints(const EvalOptions& options);

/// Base beside tuned, one entry a (task, metric), with paired bootstrap intervals:
///   {"format", "confidence", "resamples", "seed", "base_model", "tuned_model",
///    "tasks": [{"name", "kind", "metric", "higher_is_better", "items",
///               "base": {"value", "low", "high"}, "tuned": {..},
///               "difference": {"points", "low", "high", "relative"}}],
///    "average": {"metric", "tasks", "base", "tuned", "difference"}}
/// Shares (acc, em, f1) are in [0,1], their difference in points (hundredths); perplexity and
/// gold_logprob differ in plain units. `relative` is the change in percent of the base's value,
/// null when that is 0. "average" is the unweighted mean over tasks of acc (of f1 where there is no
/// acc). Throws Error(kData) when the results do not come from the same tasks.
[[nodiscard]] Json compare(const EvalResult& base, const EvalResult& tuned,
                           const EvalOptions& options);

/// compare()'s JSON as a table for a terminal, with a final newline.
[[nodiscard]] std::string comparison_table(const Json& comparison);

/// Answers `prompts`, each in a chat of its own.
[[nodiscard]] std::vector<std::string> answer_prompts(generate::LanguageModel& model,
                                                      const std::vector<std::string>& prompts,
                                                      const generate::SamplerOptions& sampler);

/// {"dialogues": [{"prompt", "base", "tuned"}]}. The three have one length.
[[nodiscard]] Json dialogues(const std::vector<std::string>& prompts,
                             const std::vector<std::string>& base,
                             const std::vector<std::string>& tuned);

}  // namespace nativo::eval
