#include "text/byte_alphabet.h"

#include "text/code_point_classes.h"

namespace nativo::text {
namespace {

constexpr char32_t kFirstExtra = 0x100;
constexpr std::size_t kLetters = kFirstExtra + 68;

/// letter -> byte, -1 for none.
const std::array<int, kLetters>& letter_bytes() {
  static const std::array<int, kLetters> table = [] {
    std::array<int, kLetters> bytes{};
    bytes.fill(-1);
    for (std::size_t i = 0; i < 256; ++i) bytes[byte_letters()[i]] = static_cast<int>(i);
    return bytes;
  }();
  return table;
}

}  // namespace

const std::array<char32_t, 256>& byte_letters() {
  static const std::array<char32_t, 256> table = [] {
    std::array<char32_t, 256> letters{};
    char32_t extra = kFirstExtra;
    for (char32_t i = 0; i < 256; ++i) {
      const bool itself = (i >= '!' && i <= '~') || (i >= 0xA1 && i <= 0xFF && i != 0xAD);
      letters[i] = itself ? i : extra++;
    }
    return letters;
  }();
  return table;
}

std::optional<std::string> bytes_of_letters(std::string_view piece) {
  std::string bytes;
  for (std::size_t i = 0; i < piece.size();) {
    const char32_t c = decode_utf8(piece, i);
    const int byte = c < kLetters ? letter_bytes()[c] : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace nativo::text
