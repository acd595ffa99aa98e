// What is evaluated, and how sure the numbers must be: [eval] of the pipeline file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "config/visitor.h"
#include "generate/device_options.h"

namespace nativo::eval {

/// [eval.task.NAME]: one set of questions.
struct TaskOptions {
  std::string kind;              ///< see eval/item.h; "" is refused by run_eval
  std::string path;              ///< JSONL or a JSON array, plain, gzip or zstd
  std::int64_t limit = 0;        ///< only the first so many items; 0 = all
  std::int64_t shots = 0;        ///< solved examples before each item
  std::string fewshot;           ///< where they come from; "" = `path`, the item itself left out
  std::int64_t max_tokens = 64;  ///< longest answer (question_answering)
  void visit(config::Visitor& v);
};

/// [eval]
struct EvalOptions {
  std::map<std::string, TaskOptions> task;
  std::int64_t resamples = 1000;  ///< of the bootstrap
  double confidence = 0.95;       ///< of the intervals
  std::int64_t seed = 1234;
  generate::DeviceOptions device;  ///< of the models that are measured
  void visit(config::Visitor& v);
};

}  // namespace nativo::eval
