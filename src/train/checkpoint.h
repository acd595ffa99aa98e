// Checkpoints of a training run: folders that appear whole or not at all.
// Rule: a checkpoint is trusted only when every file of it matches the digest in its manifest.
//
// TRAIN_DIR/checkpoints/step-00000100/
//   config.json, model.safetensors (f32), nativo.digests.json   a model folder (hf_directory.h);
//   or, adapter_config.json, adapter_model.safetensors   of LoRA, an adapter (peft_adapter.h)
//   without
//                           its base, which the key names
//   optimizer.safetensors   "first.NAME" and "second.NAME", f32: AdamW's moments
//   state.json              TrainState
//   manifest.json           {"version": 1, "files": {NAME: {"bytes": N, "sha256": HEX}}}: all of
//   the
//                           above; written last
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "io/file.h"
#include "model/decoder.h"
#include "train/optimizer.h"

namespace nativo::train {

/// Where a run stands after `step` optimizer steps. Data order and learning rate follow from the
/// step.
struct TrainState {
  std::int64_t step = 0;
  std::int64_t tokens = 0;                ///< input tokens seen, padding not counted
  double seconds = 0.0;                   ///< spent in training, over all starts
  double first_loss = 0.0;                ///< of step 1
  double loss = 0.0;                      ///< of `step`
  std::optional<double> first_eval_loss;  ///< before training
  std::optional<double> eval_loss;        ///< the latest
};

class CheckpointStore {
 public:
  /// `key` names what is trained with what (model, data, options): only checkpoints of the same key
  /// are resumed. `keep` >= 1. Creates `train_dir`/checkpoints and removes what an interrupted save
  /// left behind.
  CheckpointStore(std::filesystem::path train_dir, std::string key, std::int64_t keep,
                  io::Disk& disk);

  /// Loads the newest whole checkpoint into `decoder` and `optimizer`; nothing when there is none.
  /// Damaged ones are passed over with a warning. Checkpoints of another key are moved with the
  /// metrics to `train_dir`/previous (replacing what is there), which is said.
  std::optional<TrainState> load(model::Decoder& decoder, Optimizer& optimizer);

  /// Saves, then removes all but the newest `keep`. On failure (Error kTryAgain when the disk is
  /// full) the checkpoints saved before are untouched. `extra_files` go into the model folder, and
  /// nowhere when there is only an adapter.
  void save(const TrainState& state, const model::Decoder& decoder, const Optimizer& optimizer,
            const std::map<std::string, std::string>& extra_files);

  /// The folder of the checkpoint of `step`.
  [[nodiscard]] std::filesystem::path folder(std::int64_t step) const;

 private:
  void collect_leftovers();
  void set_aside(const std::string& reason);
  void remove_old(std::int64_t newest);
  void remove(std::int64_t step);

  std::filesystem::path train_dir_;
  std::filesystem::path root_;
  std::string key_;
  std::int64_t keep_;
  io::Disk& disk_;
};

/// Steps of the checkpoints in `root`, ascending; whether they are whole is not checked.
[[nodiscard]] std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& root);

}  // namespace nativo::train
