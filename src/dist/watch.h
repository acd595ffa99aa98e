// Ends a process that waits in a call which cannot be interrupted: MPI's own collectives, with
// which ranks find each other and share memory. Not for other folders.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace nativo::dist {

class Watch {
 public:
  /// If the watch lives longer than `seconds` (0 = it may), says `what` and how long that took on
  /// standard error and ends the process with 75, as Communicator's time limit would.
  Watch(std::string what, double seconds);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace nativo::dist
