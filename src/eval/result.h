// What one model scored: per task the metrics and, for the bootstrap and for people, every item.
// Format: docs/formats/eval.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nativo::eval {

/// How items become one number.
enum class Aggregate {
  kMean,             ///< mean of the items
  kExpNegativeMean,  ///< exp(-mean): perplexity from log-probabilities
};

/// A metric that eval knows.
struct Metric {
  std::string_view name;      ///< "acc", "acc_norm", "em", "f1", "gold_logprob", "perplexity"
  std::string_view item_key;  ///< the item's value that it aggregates
  Aggregate aggregate = Aggregate::kMean;
  bool higher_is_better = true;
  double points = 100.0;  ///< one unit in points: 100 for shares, 1 for plain units
};

/// Throws Error(kData) on an unknown name.
[[nodiscard]] const Metric& metric(std::string_view name);

/// The metric's value from the mean of its items. Never infinite: at most 1e300.
[[nodiscard]] double aggregate(const Metric& metric, double mean);

/// One metric of one task: the value of each item, in the order of the file.
struct Column {
  std::string metric;
  std::vector<double> items;
  [[nodiscard]] double value() const;
};

struct TaskResult {
  std::string name;
  std::string kind;
  std::string fingerprint;  ///< of items, shots and kind: results compare only when it is equal
  std::vector<Column> columns;
  std::vector<std::string> answers;  ///< one an item for question_answering, else empty
  std::int64_t truncated = 0;        ///< items whose prompt lost its beginning to the window
  [[nodiscard]] std::size_t items() const {
    return columns.empty() ? 0 : columns.front().items.size();
  }
};

struct EvalResult {
  std::string model;  ///< label
  std::vector<TaskResult> tasks;
};

[[nodiscard]] Json to_json(const EvalResult& result);

/// Reads what to_json wrote; throws Error(kData) naming `where`.
[[nodiscard]] EvalResult result_from_json(const Json& json, std::string_view where);

}  // namespace nativo::eval
