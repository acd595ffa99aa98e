// The training loop: packed batches in, better weights out, whatever stops it in between.
// Not here: tokenisation and the choice of examples (pipeline/), saving the final model
// (model/hf_directory.h). Rule: stopped and resumed is bit-identical to never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "dist/communicator.h"
#include "dist/grid.h"
#include "io/file.h"
#include "model/decoder.h"
#include "train/example.h"
#include "train/options.h"
#include "train/train_state.h"

namespace nativo::train {

struct TrainInput {
  /// The base weights; all of them, or only its LoRA adapters if it has any, are trained in place.
  model::Decoder& decoder;
  std::vector<Example> train;
  std::vector<Example> heldout = {};  ///< may be empty: then nothing is evaluated
  /// In the language that the base speaks: what is forgotten shows in its loss. May be empty.
  std::vector<Example> base_heldout = {};
  TrainOptions options;
  std::filesystem::path dir;    ///< gets metrics.jsonl, events.jsonl, tensorboard/ and checkpoints/
  std::string key;              ///< names model, data and options; see CheckpointStore
  std::string label = "train";  ///< of the progress line
  /// Copied into every checkpoint (tokenizer.model ...), so that each is a model folder of its own.
  std::map<std::string, std::string> extra_files = {};
  double gemm_rate = 0.0;  ///< of this machine, see flops.h; 0 = unknown: shares of it are not told
  /// The ranks that train together, each with a decoder of the same weights (or, of tensor-parallel
  /// ones, with its part of them: Decoder::ranks()) and with the same data and options; null = this
  /// process alone. It outlives the decoder. The first rank writes what is one file for all, and
  /// speaks.
  dist::Grid* grid = nullptr;
  DistOptions dist = {};
  io::Disk& disk = io::posix_disk();
  /// Asked between steps and between micro-batches; true = forget the step that was begun, save a
  /// checkpoint of the last whole one, if there was any, and throw Error(kTryAgain).
  std::function<bool()> should_stop = interrupted;
};

struct TrainResult {
  std::int64_t steps = 0;          ///< of the whole run; fewer than planned by train.patience
  std::int64_t resumed_from = 0;   ///< step of the checkpoint this start began with; 0 = none
  std::int64_t rows = 0;           ///< packed rows of one epoch
  std::int64_t targets = 0;        ///< trained tokens of one epoch
  std::int64_t tokens = 0;         ///< input tokens seen, padding not counted
  std::size_t skipped = 0;         ///< examples in which nothing is to be predicted
  std::int64_t skipped_steps = 0;  ///< steps without an update, because of a spike
  std::int64_t rollbacks = 0;      ///< to an earlier checkpoint, because of a spike
  double seconds = 0.0;            ///< spent in training, over all starts
  double step_seconds = 0.0;       ///< of these, in steps
  double first_loss = 0.0;         ///< of the first update, mean a target
  double loss = 0.0;               ///< of the last update
  std::optional<double> first_eval_loss;       ///< on `heldout` before training
  std::optional<double> eval_loss;             ///< on `heldout` after the last step
  std::optional<double> first_base_eval_loss;  ///< on `base_heldout`
  std::optional<double> base_eval_loss;
  std::int64_t evaluations = 0;    ///< that `best` was chosen from
  std::optional<Evaluation> best;  ///< whose weights are the result; none = the last step's are
};

/// Trains to the end, from the newest whole checkpoint of the same key if there is one, saved by
/// any number of ranks; a run that had already ended only loads its weights. The loss of a step,
/// and its gradient, is the mean over all targets of the step, however it is cut into
/// micro-batches. With train.keep_best the decoder ends with the weights of the step whose held-out
/// loss was the lowest of all that were measured after a step, of equal ones the first. Rows are a
/// stream, epoch after epoch, each in an order of its own; only the very last step may be smaller
/// than the others. Throws Error:
///   kConfig    batch_tokens < seq_len; seq_len beyond the model's positions; an unknown choice
///   kData      an example does not fit the model; nothing to train on; a spike (spikes.h) that
///              train.on_spike does not pass over: step, examples and sources named, nothing
///              updated with it; the best step's checkpoint is gone
///   kTryAgain  stopped; disk full (the last checkpoint is whole); ranks that are lost
/// What all ranks fail with alike is told by the first alone: the others' message is empty.
TrainResult train(const TrainInput& input);

/// Mean loss a target; nothing when no example has a target, or when it was stopped.
struct HeldoutLoss {
  std::optional<double> mean;
  bool stopped = false;
};

/// Of examples that are packed like the training's. Several ranks (Grid::data()) share the work;
/// all get the same bits, those that one alone would. `stop` (may be empty) is asked between
/// batches; after a yes on any rank it is over on all.
[[nodiscard]] HeldoutLoss heldout_loss(model::Decoder& decoder,
                                       const std::vector<Example>& examples, std::int64_t seq_len,
                                       std::int64_t micro_batch,
                                       dist::Communicator* ranks = nullptr,
                                       const std::function<bool()>& stop = {});

}  // namespace nativo::train
