// Checkpoints of a training run: folders that appear whole or not at all.
// Rule: a checkpoint is trusted only when every file of it matches the digest in its manifest.
//
// TRAIN_DIR/checkpoints/step-00000100/
//   config.json, model.safetensors (f32), nativo.digests.json   a model folder (hf_directory.h);
//   or, adapter_config.json, adapter_model.safetensors   of LoRA, an adapter (peft_adapter.h)
//   without
//                           its base, which the key names
//   optimizer.safetensors   AdamW's moments in the type they are held in; see StateTensor
//   state.json              TrainState
//   manifest.json           {"version": 1, "files": {NAME: {"bytes": N, "sha256": HEX}}}: all of
//   the
//                           above; written last. Version 2, by several ranks, has for the two
//                           large files {"bytes": N, "ranges": [[BEGIN, END, HEX], ...]}
//                           (shared_checkpoint.h)
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "model/decoder.h"
#include "train/data_parallel.h"
#include "train/fence.h"
#include "train/neighbour_memory.h"
#include "train/optimizer.h"
#include "train/shared_checkpoint.h"
#include "train/snapshot.h"
#include "train/train_state.h"

namespace nativo::train {

class CheckpointStore {
 public:
  /// `key` names what is trained with what (model, data, options): only checkpoints of the same key
  /// are resumed. `keep` >= 1. Creates `train_dir`/checkpoints and removes what an interrupted save
  /// left behind.
  /// `parallel` with several ranks: all of them call all functions but folder(), list_checkpoints()
  /// and protect() together; they write together, the first one decides, and each loads what is its
  /// own. Null = one rank.
  CheckpointStore(std::filesystem::path train_dir, std::string key, std::int64_t keep,
                  io::Disk& disk, DataParallel* parallel = nullptr);
  /// Waits for a save under way; a failure that nobody has asked for is said.
  ~CheckpointStore();
  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;

  /// Loads the newest whole checkpoint into `decoder` and `optimizer`; nothing when there is none.
  /// Damaged ones are passed over with a warning. Checkpoints of another key are moved with the
  /// metrics to `train_dir`/previous (replacing what is there), which is said. What `memory` (of
  /// `parallel`; null = none) has of a later step becomes a checkpoint first, with `extra_files` as
  /// save() has them, and is swept.
  std::optional<TrainState> load(model::Decoder& decoder, Optimizer& optimizer,
                                 NeighbourMemory* memory = nullptr,
                                 const std::map<std::string, std::string>& extra_files = {});

  /// Loads the checkpoint of `step`, to go back to it; nothing, and nothing is changed, when it is
  /// not there, damaged (said) or of another key. Checkpoints of later steps stay until the next
  /// save(), which removes them: a run that is stopped in between repeats what led it here.
  std::optional<TrainState> load_at(model::Decoder& decoder, Optimizer& optimizer,
                                    std::int64_t step);

  /// Steps of the checkpoints that are there, ascending; whether they are whole is not checked.
  [[nodiscard]] std::vector<std::int64_t> steps();

  /// From now on `step` is kept beside the newest `keep`, in place of the step protected before;
  /// nothing = none.
  void protect(std::optional<std::int64_t> step);

  /// Of the checkpoints up to the one loaded or saved last, removes all but the newest `keep`, the
  /// protected one, and those that the states of these name as their best (TrainState::best): from
  /// whichever of them a run goes on, its best is there. save() does so, too; after load() it is
  /// for the caller to do, once it knows what to protect.
  void evict();

  /// Saves, then evicts. On failure (Error kTryAgain when the disk is
  /// full, kLocked when a newer start of the run has taken over: fence.h) the checkpoints saved
  /// before are untouched. `extra_files` go into the model folder, and nowhere when there is only
  /// an adapter.
  void save(const TrainState& state, const model::Decoder& decoder, const Optimizer& optimizer,
            const std::map<std::string, std::string>& extra_files);

  /// The same, and the same bytes, but returns before anything has been read: another thread copies
  /// (Snapshot) and writes it, with a lower priority. What is trained changes only after
  /// before_change() (Optimizer::observe) or wait(). All other functions, a further save among
  /// them, first wait until it has been written; only before_change(), protect(), check(),
  /// is_writing() and take_written() do not. A failure is thrown by the first of them that is
  /// called after it, or by wait().
  void save_in_background(const TrainState& state, const model::Decoder& decoder,
                          const Optimizer& optimizer,
                          const std::map<std::string, std::string>& extra_files);

  /// Returns when `bytes` of weights or moments may change: what save_in_background() has not
  /// copied of them yet is copied. See DeferredCopy.
  void before_change(std::span<const std::byte> bytes);

  /// Returns when nothing is being written any more. Throws what the writing has failed with.
  void wait();

  /// Throws what a writing that is over has failed with; does not wait for one under way.
  void check();

  /// Whether a save is under way; of several ranks all say the same.
  [[nodiscard]] bool is_writing() const;

  /// Steps of the checkpoints that have been written whole since the last call; does not wait.
  [[nodiscard]] std::vector<std::int64_t> take_written();

  /// state.json of `state`.
  [[nodiscard]] std::string state_text(const TrainState& state) const;

  /// The folder of the checkpoint of `step`.
  [[nodiscard]] std::filesystem::path folder(std::int64_t step) const;

 private:
  [[nodiscard]] bool is_root() const { return parallel_ == nullptr || parallel_->is_root(); }
  template <class Find, class TakeOver>
  std::optional<TrainState> load_found(model::Decoder& decoder, Optimizer& optimizer,
                                       const Find& find, const TakeOver& take_over);
  std::optional<TrainState> find_newest();
  void verify(const std::filesystem::path& folder) const;
  void help_verify() const;
  [[nodiscard]] std::optional<TrainState> find_at(std::int64_t step) const;
  void begin_shared(const TrainState& state, const model::Decoder& decoder,
                    const Optimizer& optimizer,
                    const std::map<std::string, std::string>& extra_files, bool copies);
  void commit_shared();
  void end_shared();
  void write_shared();
  /// The state in `memory` that is newer than `state`, now a checkpoint; else `state`.
  [[nodiscard]] std::optional<TrainState> take_over(
      NeighbourMemory& memory, const std::optional<TrainState>& state,
      const model::Decoder& decoder, const std::map<std::string, std::string>& extra_files);
  void commit(std::int64_t step, const Json& files);
  /// Where a checkpoint is written; of its own for every start of the run, so that one that was
  /// overtaken spoils nothing.
  [[nodiscard]] std::filesystem::path temporary(std::int64_t step) const;
  void collect_leftovers();
  void set_aside(const std::string& reason);
  [[nodiscard]] std::optional<TrainState> read(std::int64_t step, bool& foreign) const;
  void write(const TrainState& state, const TrainedTensors& tensors,
             const std::map<std::string, std::string>& extra_files);
  void write_in_background(std::function<void()> body);
  void evict_before(std::int64_t newest);
  [[nodiscard]] std::optional<std::int64_t> best_named_by(std::int64_t step) const;
  void remove(std::int64_t step);

  std::filesystem::path train_dir_;
  std::filesystem::path root_;
  Fence fence_;
  std::string key_;
  std::int64_t keep_;
  std::mutex mutex_;
  std::optional<std::int64_t> protected_;  ///< under mutex_
  std::vector<std::int64_t> written_;      ///< under mutex_; not taken yet
  std::int64_t reached_ = 0;               ///< of the checkpoint loaded or saved last
  io::Disk& disk_;
  DataParallel* parallel_;
  Snapshot snapshot_;
  std::optional<SharedCheckpoint> shared_;  ///< of several ranks
  std::optional<std::int64_t> sharing_;     ///< the step that they are writing
  bool is_loading_ = false;    ///< nothing is evicted: what to protect is not known yet
  bool is_gathered_ = false;   ///< its parts are written; the first rank does the rest
  std::future<void> writing_;  ///< of save_in_background
};

/// Steps of the checkpoints in `root`, ascending; whether they are whole is not checked.
[[nodiscard]] std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& root);

}  // namespace nativo::train
