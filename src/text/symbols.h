// Emoji and symbols in running text.
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::text {

/// End of the emoji or row of symbols that begins at byte `i`, or npos. An emoji is taken whole:
/// skin tones, ZWJ sequences, flags, keycaps (UTS #51). Symbols: arrows, dingbats, shapes,
/// mathematical operators (categories So and Sm from U+2190 on); letters of any alphabet are none.
[[nodiscard]] std::size_t symbol_end(std::string_view text, std::size_t i);

}  // namespace nativo::text
