// Other programs: one that is waited for, and one that is watched.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nativo::launch {

using Words = std::vector<std::string>;

/// How a program ended: its exit status, or 128 + the signal that ended it, as shells say it.
struct Output {
  int status = 0;
  std::string out;
  std::string err;
  bool timed_out = false;  ///< it was killed because its time was over
  [[nodiscard]] bool ok() const { return status == 0 && !timed_out; }
};

/// Runs `command` (looked up in PATH) to its end, or kills it after `seconds`. A program that is
/// not there ends with status 127.
[[nodiscard]] Output run_command(const Words& command, double seconds);

/// Runs several at once, each with the same time; results in the same order.
[[nodiscard]] std::vector<Output> run_commands(const std::vector<Words>& commands, double seconds);

/// A program in a process group of its own, whose output goes to a file. Killed when the object
/// goes.
class Child {
 public:
  /// Starts `command` with `environment` added to ours; both of its output streams are appended to
  /// `log`. Throws Error(kMissingInput) when it cannot be started.
  Child(const Words& command, const std::map<std::string, std::string>& environment,
        const std::filesystem::path& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Its status, as in Output, once it has ended.
  [[nodiscard]] std::optional<int> poll();
  /// Sends `signal` to the whole group.
  void signal(int signal) const;
  /// SIGKILL to the group; waits for its end.
  int kill_and_wait();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace nativo::launch
