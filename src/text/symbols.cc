#include "text/symbols.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

namespace nativo::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;
constexpr UChar32 kVariation = 0xFE0F;
constexpr UChar32 kJoiner = 0x200D;
constexpr UChar32 kKeycap = 0x20E3;

/// The code point at `i`, which is moved behind it; negative when there is none.
UChar32 next(std::string_view text, std::size_t& i) {
  if (i >= text.size()) return -1;
  const std::string_view window = text.substr(i, 4);
  std::int32_t k = 0;
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), k,
          static_cast<std::int32_t>(window.size()), c);
  i += static_cast<std::size_t>(k);
  return c;
}
UChar32 peek(std::string_view text, std::size_t i) { return next(text, i); }

bool is_regional(UChar32 c) { return c >= 0x1F1E6 && c <= 0x1F1FF; }
bool is_modifier(UChar32 c) { return c >= 0x1F3FB && c <= 0x1F3FF; }
bool is_tag(UChar32 c) { return c >= 0xE0020 && c <= 0xE007F; }

bool is_symbol(UChar32 c) {
  if (c < 0x2190) return false;
  if (c == kVariation || u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC)) return true;
  const auto category = u_charType(c);
  return category == U_OTHER_SYMBOL || category == U_MATH_SYMBOL || category == U_PRIVATE_USE_CHAR;
}

/// End of one emoji at `i`, joined parts included.
std::size_t emoji(std::string_view text, std::size_t i) {
  UChar32 c = next(text, i);
  if (is_regional(c)) {
    if (is_regional(peek(text, i))) (void)next(text, i);
    return i;
  }
  if (!u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC) && !is_modifier(c)) return kNone;
  for (;;) {
    while (peek(text, i) == kVariation || is_modifier(peek(text, i)) || is_tag(peek(text, i))) {
      (void)next(text, i);
    }
    std::size_t joined = i;
    if (next(text, joined) != kJoiner) return i;
    c = next(text, joined);
    if (c < 0 || !(u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC) || is_symbol(c))) return i;
    i = joined;
  }
}

}  // namespace

std::size_t symbol_end(std::string_view text, std::size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (lead < 0x80) {  // keycaps: 1️⃣ #️⃣
    if (!((lead >= '0' && lead <= '9') || lead == '#' || lead == '*')) return kNone;
    if (text.substr(i + 1).starts_with("\xEF\xB8\x8F\xE2\x83\xA3")) return i + 7;
    return kNone;
  }
  if (lead == 0xC2) {  // © and ® with emoji style
    std::size_t k = i;
    const UChar32 c = next(text, k);
    return (c == 0xA9 || c == 0xAE) && peek(text, k) == kVariation ? k + 3 : kNone;
  }
  if (lead < 0xE2 || (lead > 0xE3 && lead < 0xEE)) return kNone;
  const UChar32 first = peek(text, i);
  if (first < 0) return kNone;
  const bool pictographic =
      first >= 0x2190 && u_hasBinaryProperty(first, UCHAR_EXTENDED_PICTOGRAPHIC);
  if (pictographic || is_regional(first) || is_modifier(first)) return emoji(text, i);
  if (!is_symbol(first)) return kNone;
  std::size_t end = i;
  while (end < text.size()) {
    std::size_t k = end;
    const UChar32 c = next(text, k);
    if (c < 0 || !(is_symbol(c) || c == kKeycap) ||
        (c != kVariation && u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC))) {
      break;
    }
    end = k;
  }
  return std::max(end, i + 1) == i + 1 ? kNone : end;
}

}  // namespace nativo::text
