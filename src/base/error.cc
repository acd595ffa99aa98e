#include "base/error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nativo {

Error errno_error(int error_number, std::string_view action, std::string_view path) {
  std::string message{path};
  message.append(": cannot ").append(action).append(": ").append(std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
      return {ExitCode::kMissingInput, message, "check the path and its permissions"};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {ExitCode::kTryAgain, message,
              "free some space and run the same command again; finished work is kept"};
    default:
      return {ExitCode::kIo, message};
  }
}

namespace detail {

void check_failed(const char* condition, const char* file, int line, std::string_view message) {
  std::fprintf(stderr, "nativo: bug: %s:%d: check failed: %s: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace detail
}  // namespace nativo
