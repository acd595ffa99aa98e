// Cuts a message into pieces that are translated one by one (sentences, list items, table cells)
// and pieces that stay as they are (white space, list markers, code). Rule: the pieces, joined, are
// the message, byte for byte. A sentence ends with its line.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "text/protected_spans.h"

namespace nativo::text {

/// Bytes [begin, end) of the message.
struct Segment {
  std::size_t begin;
  std::size_t end;
  bool translatable;  ///< has a word outside protected spans
  bool operator==(const Segment&) const = default;
};

/// True when `text` has something to translate: two letters in a row, "I", "a", or a character of a
/// script without spaces.
[[nodiscard]] bool has_words(std::string_view text);

/// Pieces of `text` in order, covering it without gaps; none is empty. `spans` (from find_spans)
/// are never cut.
[[nodiscard]] std::vector<Segment> split_segments(std::string_view text,
                                                  std::span<const Span> spans);

}  // namespace nativo::text
