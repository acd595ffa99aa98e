// Which classes a code point belongs to, in one lookup: what patterns and pre-tokenisers ask of
// every character. Not here: how a pattern names its classes (text/split_pattern.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace nativo::text {

/// Inclusive ranges of code points, ascending.
using CodePointRanges = std::vector<std::pair<char32_t, char32_t>>;

/// The ranges of an ICU set expression such as "[[:L:][:Nd:]]" (unicode.org/reports/tr35,
/// UnicodeSet).
[[nodiscard]] CodePointRanges code_points(const char* expression);

/// Up to 32 classes; immutable.
class CodePointClasses {
 public:
  /// Class i is the bit 1 << i.
  explicit CodePointClasses(std::span<const CodePointRanges> classes);

  [[nodiscard]] std::uint32_t of(char32_t c) const {
    if (c < 128) [[likely]]
      return ascii_[c];
    return c < 0x110000 ? masks_[blocks_[c >> kShift] * kBlock + (c & (kBlock - 1))] : 0;
  }

 private:
  static constexpr unsigned kShift = 7;
  static constexpr std::uint32_t kBlock = 1U << kShift;
  std::array<std::uint32_t, 128> ascii_{};
  std::vector<std::uint16_t> blocks_;  ///< block of 128 code points -> its masks, shared when equal
  std::vector<std::uint32_t> masks_;
};

/// The classes that the steps of a tokenizer.json speak of. The last ones follow the tables that
/// Hugging Face tokenizers (0.23) carries, which are those of Unicode 8 and 9, not the latest:
/// models were trained on what they give.
enum class Letters : std::uint32_t {
  kWhiteSpace = 1U << 0,      ///< White_Space
  kWord = 1U << 1,            ///< \w: Alphabetic, M, Nd, Pc, Join_Control
  kNumeric = 1U << 2,         ///< N
  kPunctuation = 1U << 3,     ///< P of Unicode 8, and ASCII that is neither letter, digit nor space
  kCombiningMark = 1U << 4,   ///< M of Unicode 9
  kNonspacingMark = 1U << 5,  ///< Mn of Unicode 8
  kControl = 1U << 6,         ///< Cc, Cf, Co of Unicode 8 but tab, newline, return
  kCjkIdeograph = 1U << 7,    ///< what BERT sets apart with spaces
};

/// The table of Letters.
[[nodiscard]] const CodePointClasses& letter_classes();

[[nodiscard]] inline bool is(char32_t c, Letters letters) {
  return (letter_classes().of(c) & static_cast<std::uint32_t>(letters)) != 0;
}

/// The code point at `offset` of well-formed UTF-8, which moves behind it.
[[nodiscard]] inline char32_t decode_utf8(std::string_view text, std::size_t& offset) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[offset + i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) {
    offset += 1;
    return lead;
  }
  char32_t c = 0;
  if (lead < 0xE0) {
    c = ((lead & 0x1F) << 6) | (byte(1) & 0x3F);
    offset += 2;
  } else if (lead < 0xF0) {
    c = ((lead & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F);
    offset += 3;
  } else {
    c = ((lead & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) |
        (byte(3) & 0x3F);
    offset += 4;
  }
  return c;
}

/// Appends `c` as UTF-8.
void append_utf8(std::string& text, char32_t c);

}  // namespace nativo::text
