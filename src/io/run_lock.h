// One writer a run folder. The lock is the kernel's (flock), so that a dead owner never blocks
// anybody; the file's content (host, pid, since) is for the message.
#pragma once

#include <filesystem>
#include <memory>

namespace nativo::io {

/// Names, in the environment, the folder whose lock the process that started this one holds on its
/// behalf: a supervisor for its ranks.
inline constexpr const char* kLockHeldVariable = "NATIVO_RUN_LOCK";

/// Holds `folder`/run.lock for its life; creates the folder when it is absent. Where
/// kLockHeldVariable names the folder (weakly canonical), it is held already and nothing is done.
class RunLock {
 public:
  /// kAlone: the only one at work. kTogether: beside others that write other files, as the tasks of
  /// an array do.
  enum class Kind { kAlone, kTogether };

  /// Throws Error(kLocked) naming host and pid of the holder when somebody else has it.
  explicit RunLock(const std::filesystem::path& folder, Kind kind = Kind::kAlone);
  ~RunLock();
  RunLock(RunLock&&) noexcept;
  RunLock& operator=(RunLock&&) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::io
