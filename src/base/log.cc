#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <string>

namespace nativo::log {
namespace {

/// The terminal is one per process; this is its guard, not program state.
struct Terminal {
  std::mutex mutex;
  bool status_shown = false;
};

Terminal& terminal() {
  static Terminal instance;
  return instance;
}

}  // namespace

bool stderr_is_terminal() {
  static const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  return is_terminal;
}

std::size_t terminal_columns() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

void line(std::string_view prefix, std::string_view message) {
  std::string out;
  const std::lock_guard lock(terminal().mutex);
  if (terminal().status_shown) out += "\r\x1b[2K";
  terminal().status_shown = false;
  out.append(prefix).append(message).push_back('\n');
  std::fwrite(out.data(), 1, out.size(), stderr);
}

void status(std::string_view text) {
  if (!stderr_is_terminal()) return;
  const std::lock_guard lock(terminal().mutex);
  if (text.empty() && !terminal().status_shown) return;
  std::string out = "\r\x1b[2K";
  out.append(text);
  std::fwrite(out.data(), 1, out.size(), stderr);
  std::fflush(stderr);
  terminal().status_shown = !text.empty();
}

}  // namespace nativo::log
