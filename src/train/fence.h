// Who may write checkpoints of a run: the newest start of it. A rank that was cut off and comes
// back belongs to an older one.
// TRAIN_DIR/fence.json: {"job": "17", "restart": 3}, written by the supervisor before ranks start;
// `restart` only grows, over all jobs, for job numbers are used again.
#pragma once

#include <cstdint>
#include <filesystem>

namespace nativo::train {

class Fence {
 public:
  /// Of this process: NATIVO_RESTART of the environment, where a supervisor started it; otherwise
  /// the fence as it is now, for who starts a run by hand is its newest start.
  explicit Fence(std::filesystem::path train_dir);

  /// Throws Error(kLocked), naming both starts, when the run has been started again since.
  void check() const;

  /// The start of the run that this process belongs to; 0 without a supervisor.
  [[nodiscard]] std::int64_t restart() const { return restart_; }

 private:
  std::filesystem::path file_;
  std::int64_t restart_;
};

}  // namespace nativo::train
