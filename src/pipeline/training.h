// One training from examples to a model folder, whatever the examples were made from.
// Not here: where examples come from (examples.h), when a training must be done again (step.h).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/stage.h"
#include "dist/communicator.h"
#include "dist/grid.h"
#include "model/decoder.h"
#include "model/hf_directory.h"
#include "pipeline/options.h"
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
  dist::Grid* grid = nullptr;  ///< ranks that train together, the first one writes; null = alone
};

/// Where a training in `folder` leaves its model; complete with a manifest.
[[nodiscard]] inline fs::path model_folder(const fs::path& folder) { return folder / "model"; }

/// The ranks of one training, and what this one computes on.
class TrainingRanks {
 public:
  /// `world` (null = alone) outlives this. With train.device = "cuda" several ranks have a GPU each
  /// (dist/own_gpu.h), which then talk to each other, too. Collective. Throws Error(kConfig) for a
  /// device that is none, or not for several ranks.
  TrainingRanks(dist::Communicator* world, const train::TrainOptions& options);

  /// Null when `world` is.
  [[nodiscard]] dist::Communicator* ranks() const { return gpus_ ? gpus_.get() : world_; }
  [[nodiscard]] const model::Numbers& numbers() const { return numbers_; }

 private:
  dist::Communicator* world_;
  model::Numbers numbers_;
  std::unique_ptr<dist::Communicator> gpus_;
};

/// The options that the bits of a training depend on, for its stage's key: of where it computes,
/// what it computes in; nothing of what only saves memory.
[[nodiscard]] Json result_options(const train::TrainOptions& options);

/// Loads the base in `folder` as `options.method` wants it, with fresh adapters if it asks for
/// them. Throws Error(kTryAgain), before anything is loaded, when the training would not fit into
/// memory (train::require_memory).
/// Of several ranks each loads its own, or its part. `numbers` are TrainingRanks::numbers().
[[nodiscard]] model::Decoder load_base(const fs::path& folder, const train::TrainOptions& options,
                                       const train::LoraTableOptions& lora,
                                       const train::DistOptions& dist, dist::Grid& grid,
                                       const model::Numbers& numbers);

/// [dist] as it is for these ranks (null = alone): with dist.grid = "auto" what the first one
/// chooses for `config` by the memory that is available (train::choose_grid). Collective.
[[nodiscard]] train::DistOptions settled(const train::DistOptions& dist,
                                         const model::DecoderConfig& config,
                                         const train::TrainOptions& options,
                                         const train::LoraTableOptions& lora,
                                         dist::Communicator* ranks);

/// How the ranks of [slurm] would share out the training, a line for people, if their nodes are
/// like this one; "" for one rank, and while the model to be trained is not there.
[[nodiscard]] std::string grid_line(const PipelineOptions& options);

/// Threads for this process: `threads`, or when that is 0 all cores, of several ranks a fair share.
void use_threads(std::int64_t threads, const dist::Communicator* ranks);

/// Trains `decoder`, continuing what was stopped, and writes model/ (adapters merged), adapter/,
/// summary.json. Throws Error as train::train() and the writers do.
void train_and_save(Training training, model::Decoder& decoder);

}  // namespace nativo::pipeline
