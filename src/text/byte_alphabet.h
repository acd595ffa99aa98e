// The letters that byte-level BPE writes bytes with: printable ASCII and most of Latin-1 stand for
// themselves, the other 68 bytes are U+0100 and up (GPT-2, encoder.py).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace nativo::text {

/// byte -> letter.
[[nodiscard]] const std::array<char32_t, 256>& byte_letters();

/// The bytes that `piece` (UTF-8) spells, or nothing when one of its letters is no byte.
[[nodiscard]] std::optional<std::string> bytes_of_letters(std::string_view piece);

}  // namespace nativo::text
