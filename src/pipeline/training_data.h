// What the trainings of a run learn from and are measured on: records and pre-tokenised lines as
// examples.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "pipeline/pipeline.h"
#include "text/tokenizer.h"
#include "train/example.h"

namespace nativo::pipeline {

struct TrainingData {
  std::vector<train::Example> train;
  std::vector<train::Example> heldout = {};
  /// Held-out text in the language that the base speaks, to see what is forgotten; may be empty.
  std::vector<train::Example> base_heldout = {};
};

/// Where the run's tokenizer is.
[[nodiscard]] fs::path tokenizer_folder(const RunContext& context);

/// Of the run's own model (step "base"): the ingested records in the base's language. A hash of
/// (seed, id) holds mix.heldout_share of them apart. Throws Error(kData) when there are none.
/// Both also get the lines of the table's `tokens`.
[[nodiscard]] TrainingData base_training_data(const RunContext& context,
                                              const text::Tokenizer& tokenizer);

/// Of the fine-tuning (step "train"): what the mix made. The gauge of forgetting is what
/// base_training_data() holds apart, the lowest hashes first and no more than is held out of the
/// mix; the tuning never sees it either. It is empty when the run's language is the base's.
[[nodiscard]] TrainingData tuning_data(const RunContext& context, const text::Tokenizer& tokenizer);

/// All lines of `files`, one file after the other.
[[nodiscard]] std::vector<train::Example> read_token_files(const std::vector<fs::path>& files,
                                                           std::int64_t vocab_size);

}  // namespace nativo::pipeline
