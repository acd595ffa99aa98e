// One training from examples to a model folder, whatever the examples were made from.
// Not here: where examples come from (examples.h), when a training must be done again (step.h).
#pragma once

#include <filesystem>
#include <string>

#include "data/stage.h"
#include "dist/communicator.h"
#include "model/decoder.h"
#include "model/hf_directory.h"
#include "pipeline/training_data.h"
#include "train/options.h"

namespace nativo::pipeline {

namespace fs = std::filesystem;

struct Training {
  data::StageSpec spec;  ///< its name labels the progress; its key says when the result is complete
                         ///< (empty on ranks that write nothing)
  fs::path folder;  ///< gets metrics.jsonl, events.jsonl, checkpoints/, summary.json, model/ and
                    ///< of adapters adapter/
  TrainingData data;
  train::TrainOptions options;  ///< with the seed
  model::SaveOptions save;      ///< of model/; its extra files go into the checkpoints, too
  std::string base;             ///< folder of the model that an adapter belongs to
  train::DistOptions dist = {};
  dist::Communicator* ranks = nullptr;  ///< that train together, the first one writes; null = alone
};

/// Where a training in `folder` leaves its model; complete with a manifest.
[[nodiscard]] inline fs::path model_folder(const fs::path& folder) { return folder / "model"; }

/// Loads the base in `folder` as `options.method` wants it, with fresh adapters if it asks for
/// them. Throws Error(kTryAgain), before anything is loaded, when the training would not fit into
/// memory (train::require_memory).
/// Of several ranks each loads its own.
[[nodiscard]] model::Decoder load_base(const fs::path& folder, const train::TrainOptions& options,
                                       const train::LoraTableOptions& lora,
                                       const train::DistOptions& dist,
                                       const dist::Communicator* ranks);

/// Threads for this process: `threads`, or when that is 0 all cores, of several ranks a fair share.
void use_threads(std::int64_t threads, const dist::Communicator* ranks);

/// Trains `decoder`, continuing what was stopped, and writes model/ (adapters merged), adapter/,
/// summary.json. Throws Error as train::train() and the writers do.
void train_and_save(Training training, model::Decoder& decoder);

}  // namespace nativo::pipeline
