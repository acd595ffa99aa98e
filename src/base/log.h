// What a person reads on stderr: notes, warnings, errors. Progress lines (base/progress.h) share
// the terminal with it. Rule: untrusted text goes through printable() before it gets here.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <string_view>
#include <utility>

namespace nativo::log {

/// Writes one line to stderr, after clearing a progress line if one is shown. Thread-safe.
void line(std::string_view prefix, std::string_view message);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  line("", fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  line("warning: ", fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  line("error: ", fmt::format(format, std::forward<Args>(args)...));
}

/// Shows `text` as the terminal's last line, replacing the one shown before; "" clears it.
/// Does nothing when stderr is not a terminal.
void status(std::string_view text);

/// Columns of the terminal that stderr is; 80 where that is unknown.
[[nodiscard]] std::size_t terminal_columns();

/// True when stderr is a terminal.
[[nodiscard]] bool stderr_is_terminal();

}  // namespace nativo::log
