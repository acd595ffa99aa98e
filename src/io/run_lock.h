// One writer a run folder. The lock is the kernel's (flock), so that a dead owner never blocks
// anybody; the file's content (host, pid, since) is for the message.
#pragma once

#include <filesystem>
#include <memory>

namespace nativo::io {

/// Holds `folder`/run.lock for its life; creates the folder when it is absent.
class RunLock {
 public:
  /// Throws Error(kLocked) naming host and pid of the holder when somebody else has it.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(RunLock&&) noexcept;
  RunLock& operator=(RunLock&&) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::io
