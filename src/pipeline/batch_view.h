// The batch of one step of a training, before or after it ran, for people and machines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/options.h"
#include "text/tokenizer.h"
#include "train/explain.h"

namespace nativo::pipeline {

namespace fs = std::filesystem;

/// Which training: of a pipeline file's run, whose stages before it are done, or, when `tokens` is
/// not empty, of `model` on pre-tokenised lines.
struct BatchRequest {
  std::string training = "train";  ///< "train" or "base", of a run
  fs::path model;
  std::vector<fs::path> tokens;
  std::int64_t step = 1;  ///< from 1
  /// Of `tokens`: the training's folder (TokenTraining::output), if it has begun; "" = none.
  fs::path output = {};
};

struct BatchView {
  std::int64_t step = 0;
  std::int64_t steps = 0;
  std::int64_t epoch = 0;  ///< of its first row, from 1
  std::string batch;       ///< batch_digest() of its rows
  /// What the training's metrics.jsonl says it took in this step, as `batch`: another one when its
  /// data or options are not those of now. "" = it has not come as far, or nobody knows.
  std::string taken;
  std::int64_t row_offset = 0;  ///< rows that the training's rollbacks put behind it before
  std::vector<train::ExplainedRow> rows;
  std::optional<text::Tokenizer> tokenizer;  ///< none where the model has none that we read
};

/// The step's batch: as the training took it, rollbacks counted in, where its metrics say so; else
/// as the options, and the rollbacks so far, plan it. Throws Error(kUsage) for a step beyond the
/// last, Error(kMissingInput) when the run has not come as far as the training.
[[nodiscard]] BatchView view_batch(const PipelineOptions& options, const BatchRequest& request);

}  // namespace nativo::pipeline
