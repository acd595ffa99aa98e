// One set of questions put to one model.
#pragma once

#include <string>
#include <vector>

#include "eval/item.h"
#include "eval/options.h"
#include "eval/result.h"
#include "generate/language_model.h"

namespace nativo::eval {

/// Items with the solved examples that stand before each, ready to be asked.
struct Task {
  std::string name;
  TaskKind kind = TaskKind::kCommonsense;
  TaskOptions options;
  std::vector<Item> items;
  std::vector<Item> shots;        ///< candidates, in order
  bool shots_from_items = false;  ///< shots[i] is items[i]: an item is never its own example

  /// Solved examples and prompt of items[index], joined by blank lines.
  [[nodiscard]] std::string prompt(std::size_t index) const;
  /// Digest of everything that decides what is asked and what counts as right.
  [[nodiscard]] std::string fingerprint() const;
};

/// Loads items and examples. Throws Error(kConfig) naming eval.task.NAME for options that do not
/// make sense (no kind, no path, more shots than examples), and what load_items throws.
[[nodiscard]] Task load_task(const std::string& name, const TaskOptions& options);

/// Asks everything, with progress on stderr. Throws Error(kTryAgain) when interrupted.
[[nodiscard]] TaskResult run_task(generate::LanguageModel& model, const Task& task);

}  // namespace nativo::eval
