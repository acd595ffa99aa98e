// What stands at the beginning of a line and is none of its sentence: indentation, quote marks,
// heading and list markers.
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::text {

/// White space inside a line.
[[nodiscard]] inline bool is_line_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/// Where the text of the line [begin, end) begins, behind indentation and markers ("> ", "## ",
/// "- ", "12) ", "(iv) "); `end` when there is none.
[[nodiscard]] std::size_t after_line_markers(std::string_view text, std::size_t begin,
                                             std::size_t end);

}  // namespace nativo::text
