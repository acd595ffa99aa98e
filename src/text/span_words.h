// The protected spans that are made of word characters: numbers, identifiers, paths, URLs, e-mail.
// Internal to find_spans (text/protected_spans.h).
#pragma once

#include <cstddef>
#include <string_view>

#include "text/protected_spans.h"

namespace nativo::text {

/// True when a word, number or path may begin at byte `i` of `text`; `behind_mark`: a mark of
/// markup ends at `i`, so that what stands before it does not matter.
[[nodiscard]] bool word_start(std::string_view text, std::size_t i, bool behind_mark);

/// Bytes [begin, end) of the symbol of a unit (kg, km/h, °C, MB) behind the number that ends at
/// `i`, with at most one space between them; empty when there is none. Words ("miles") are prose.
struct UnitRange {
  std::size_t begin;
  std::size_t end;
};
[[nodiscard]] UnitRange match_unit(std::string_view text, std::size_t i);

/// End of the span that begins at `i` and its kind, or npos when the word there is prose.
[[nodiscard]] std::size_t match_word(std::string_view text, std::size_t i, SpanKind& kind);

/// End of the word at `i`, at least i + 1.
[[nodiscard]] std::size_t skip_word(std::string_view text, std::size_t i);

}  // namespace nativo::text
