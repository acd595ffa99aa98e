// The ways nativo can fail, and the exit code each one ends the program with.
// Not here: expected bad records (see base/result.h); those are counted and rejected, never thrown.
// Rule: an Error says what, where, why and what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace nativo {

/// Exit codes by kind, after BSD sysexits.h, so that scripts can tell failures apart.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 64,         ///< the command line is wrong
  kData = 65,          ///< an input's content is wrong
  kMissingInput = 66,  ///< an input does not exist or cannot be opened
  kInternal = 70,      ///< a bug in nativo
  kLocked = 73,        ///< somebody else holds what must be written
  kIo = 74,            ///< reading or writing failed
  kTryAgain = 75,      ///< nothing is wrong with the input: free space, or run again to continue
  kConfig = 78,        ///< the pipeline file is wrong
};

/// A failure that ends the run. `what()` is the message without the hint.
class Error : public std::runtime_error {
 public:
  /// `message` names the file, line or key and the cause; `hint` (may be empty) says what to do.
  Error(ExitCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  [[nodiscard]] ExitCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

/// Builds a kMissingInput or kIo/kTryAgain error from errno: ENOENT/EACCES on open become
/// kMissingInput, ENOSPC/EDQUOT/EFBIG become kTryAgain with a hint about space, the rest kIo.
[[nodiscard]] Error errno_error(int error_number, std::string_view action, std::string_view path);

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               std::string_view message);
}  // namespace detail

}  // namespace nativo

/// States a truth of the program itself. No user input, however hostile, may reach a failing check.
#define NATIVO_CHECK(condition, message)                                         \
  do {                                                                           \
    if (!(condition)) [[unlikely]]                                               \
      ::nativo::detail::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
