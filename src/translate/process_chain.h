// Programs joined by pipes that live as long as we want: questions in, answers out, both ended by
// NUL. Not here: what is asked. Rule: the child processes never outlive the object.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace nativo::translate {

/// A program and its arguments; argv[0] is looked up in PATH.
using Argv = std::vector<std::string>;

/// Not thread-safe. Both ends are non-blocking.
class ProcessChain {
 public:
  /// Starts the programs with LC_ALL=C.UTF-8 and PATH as their whole environment, in process groups
  /// of their own (Ctrl-C reaches only us), their stderr discarded. Throws Error(kMissingInput)
  /// naming a program that cannot be started.
  explicit ProcessChain(const std::vector<Argv>& programs);
  ~ProcessChain();
  ProcessChain(const ProcessChain&) = delete;
  ProcessChain& operator=(const ProcessChain&) = delete;

  /// For poll(2).
  [[nodiscard]] int input_fd() const { return input_; }
  [[nodiscard]] int output_fd() const { return output_; }

  /// Writes as much of `bytes` as fits now; the number written, or -1 when the chain is broken.
  [[nodiscard]] long write_some(std::string_view bytes);
  /// Appends what can be read now to `buffer`; false when the chain is broken or has ended.
  [[nodiscard]] bool read_some(std::string& buffer);

  /// CPU seconds of the children so far is not known before they end; their ids, for tests.
  [[nodiscard]] const std::vector<pid_t>& pids() const { return pids_; }

 private:
  void stop();

  int input_ = -1;
  int output_ = -1;
  std::vector<pid_t> pids_;
};

}  // namespace nativo::translate
