// White space as Python's str.isspace() and str.split() see it: the published scores count words
// and characters by it.
#pragma once

#include <string_view>
#include <vector>

namespace nativo::text {

/// Python's str.isspace() of one character.
[[nodiscard]] constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

/// Python's str.split(): what lies between runs of white space, none empty. The pieces lie inside
/// `text`, which must outlive them. A byte that is not UTF-8 is no white space.
[[nodiscard]] std::vector<std::string_view> split_white_space(std::string_view text);

}  // namespace nativo::text
