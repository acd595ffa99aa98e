// Copies of a training's state in memory that outlives a process, between two checkpoints: every
// rank's part in a memory file system of its own node and, where there are several nodes, in that
// of its neighbour on the next one. After a rank or one node is lost all parts are still there.
// Not here: what one file of it is (memory_part.h); how training goes on from it (checkpoint.h).
// Rule: a copy counts when all its parts are found whole, wherever they are; nobody has to say so.
//
// DIR/nativo-HASH/                              HASH: of the run's folder
//   step-00000042.start-3.rank-5.own            on rank 5's node
//   step-00000042.start-3.rank-5.neighbour      on the next node
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "io/mapped_file.h"
#include "model/decoder.h"
#include "train/checkpoint_parts.h"
#include "train/data_parallel.h"
#include "train/deferred_copy.h"
#include "train/fence.h"
#include "train/memory_part.h"
#include "train/optimizer.h"

namespace nativo::train {

/// A state that has been found.
struct FoundState {
  std::int64_t step = 0;
  std::string state;                   ///< state.json
  CheckpointParts parts;               ///< what of it this rank has been given to write
  std::vector<io::MappedFile> memory;  ///< of the parts
};

/// All ranks call all functions together.
class NeighbourMemory {
 public:
  /// `dir` is a memory file system, of each node its own. `key` as of CheckpointStore: the first
  /// rank's. `parallel` outlives this.
  NeighbourMemory(DataParallel& parallel, const std::filesystem::path& train_dir,
                  const std::string& key, const std::filesystem::path& dir);
  /// What is under way is given up; what is whole stays.
  ~NeighbourMemory();
  NeighbourMemory(const NeighbourMemory&) = delete;
  NeighbourMemory& operator=(const NeighbourMemory&) = delete;

  /// Copies the state after `step` in the background, into this node's memory and from there into
  /// the neighbours'; first waits for the copy before, which stays until this one is whole. `state`
  /// is state.json. Weights and moments change only after before_change(). When a rank's memory
  /// does not suffice, says so and copies nothing any more: a training does not need this. Throws
  /// Error(kLocked) when a newer start of the run has taken over, Error(kTryAgain) when ranks are
  /// lost.
  void take(std::int64_t step, const std::string& state, const model::Decoder& decoder,
            const Optimizer& optimizer);

  /// Returns when `bytes` of weights or moments may change (DeferredCopy). Not collective.
  void before_change(std::span<const std::byte> bytes) { copy_.before_change(bytes); }

  /// The newest whole state of this run after `step`, by any number of ranks; each rank gets some
  /// of its parts, so that together they have all, once. What is not used is said: parts that are
  /// damaged or missing, states that are not newer, of another run, of a start that is not over.
  [[nodiscard]] std::optional<FoundState> find(std::int64_t step);

  /// Removes all that is there, of whatever start, from folders that are this user's alone. For
  /// after find().
  void sweep();

  /// Returns when nothing is under way any more.
  void wait();

  /// wait(), and removes what has been taken: the training goes back to an earlier step, and other
  /// states will have the same steps.
  void forget();

  /// wait(), and gives all memory back.
  void clear();

 private:
  /// The files of one copy that this rank has made.
  struct Copy {
    std::filesystem::path own;
    std::vector<std::filesystem::path> neighbours;  ///< by from_
  };

  void find_neighbours();
  void open_folder();
  [[nodiscard]] std::string draw_run();
  [[nodiscard]] Copy name(std::int64_t step) const;
  void map(const MemoryPart& part);
  void send(MemoryPart part);
  void release();
  /// True on all ranks when on any; then it is over, and why is said.
  bool give_up(const std::string& reason);

  DataParallel& parallel_;
  dist::Communicator& world_;
  Fence fence_;
  std::string key_;
  std::string run_;  ///< MemoryPart::run
  std::filesystem::path dir_;
  bool owns_folder_ = false;                   ///< else it is not to be touched
  std::unique_ptr<dist::Communicator> links_;  ///< for what goes from node to node meanwhile
  int to_ = -1;                                ///< the rank that keeps this one's part; -1 = none
  std::size_t turn_ = 0;                       ///< among those whose parts that rank keeps
  std::vector<int> from_;                      ///< whose parts this rank keeps
  std::size_t turns_ = 0;                      ///< the most parts that a rank keeps
  std::optional<Copy> old_;                    ///< before `whole_`: its memory serves the next one
  std::optional<Copy> whole_;
  std::optional<Copy> taking_;
  CheckpointParts parts_;  ///< what is taken
  DeferredCopy copy_;      ///< of them into memory_
  io::MappedFile memory_;
  std::vector<io::MappedFile> incoming_;
  std::future<void> sending_;
  bool is_off_ = false;
};

}  // namespace nativo::train
