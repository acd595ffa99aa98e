// The page's sections, each from the facts to HTML; "" when there is nothing to tell.
// Rule: what a chart shows also stands in a table, for readers without scripts.
#pragma once

#include <string>

#include "base/json.h"
#include "report/run_files.h"

namespace nativo::report {

[[nodiscard]] std::string headline_section(const RunFiles& run);
[[nodiscard]] std::string evaluation_section(const RunFiles& run);
[[nodiscard]] std::string dialogues_section(const RunFiles& run);
[[nodiscard]] std::string training_section(const RunFiles& run);
[[nodiscard]] std::string stages_section(const RunFiles& run);
[[nodiscard]] std::string translation_section(const RunFiles& run);
[[nodiscard]] std::string lengths_section(const RunFiles& run);
[[nodiscard]] std::string sources_section(const RunFiles& run);
[[nodiscard]] std::string lock_section(const RunFiles& run);

/// What page/charts.js draws:
///   {"lengths": {"labels", "before", "after", "before_name", "after_name"},
///    "trainings": [{"name", "loss": [[step, y], ..], "eval_loss", "base_eval_loss", "lr",
///                   "grad_norm", "tokens_per_second", "sources": [{"name", "loss"}],
///                   "marks": [{"kind": "checkpoint", "resume" or "spike", "step"}]}],
///    "evaluation": {"labels", "base": [[value, low, high] in percent, ..], "tuned"}}
/// A curve of more than 1,500 points is thinned to every n-th; its last point stays.
[[nodiscard]] Json chart_data(const RunFiles& run);

/// "fine-tuning", "base model": how a training is called on the page.
[[nodiscard]] std::string training_title(const std::string& name);
/// A metric's value as people read it: "41.2%", "187.3".
[[nodiscard]] std::string value_text(const TaskFacts& task, double value);
/// "next word prediction: accuracy".
[[nodiscard]] std::string task_title(const TaskFacts& task);

/// The chart's part about lengths; null when fewer than two stages counted them.
[[nodiscard]] Json lengths_data(const RunFiles& run);

}  // namespace nativo::report
