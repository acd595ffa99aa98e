// Tells lines of source code without a fence from prose, line by line. A heuristic that leans
// towards prose: only marks that prose hardly ever has make a line code.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace nativo::text {

/// Byte ranges [begin, end) of runs of code lines, without the last line's newline.
[[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> find_code_lines(
    std::string_view text);

}  // namespace nativo::text
