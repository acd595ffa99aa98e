// Rewriting text by patterns of a fixed length, which is all that Moses's scripts are made of, and
// the classes of letters that they speak of. Private to the moses_* files.
// Rule: as with a regular expression's "replace all": from the left, matches do not overlap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text::moses {

/// Classes of letters, those of sacremoses 0.1.1: tables of Perl's, of the planes and the Unicode
/// versions that they were made with. Combine with |.
enum Class : std::uint32_t {
  kSpace = 1U << 0,     ///< Python's str.isspace()
  kDigit = 1U << 1,     ///< Nd
  kNumber = 1U << 2,    ///< IsN
  kAlnum = 1U << 3,     ///< IsAlnum and Indic signs
  kAlpha = 1U << 4,     ///< IsAlpha and Indic signs
  kLetter = 1U << 5,    ///< IsAlpha
  kLower = 1U << 6,     ///< IsLower
  kCurrency = 1U << 7,  ///< IsSc
  kHan = 1U << 8,
  kKana = 1U << 9,
  kHangul = 1U << 10,
};

/// The classes of `c`; 0 for what is no code point.
[[nodiscard]] std::uint32_t classes_of(char32_t c);

/// One place of a pattern: a letter, or any letter of some classes (or of none of them).
struct Place {
  char32_t letter = 0;
  std::uint32_t classes = 0;
  bool negated = false;

  Place(char32_t c) : letter(c) {}  // NOLINT: implicit by design
  Place(Class c) : classes(c) {}    // NOLINT: implicit by design
  explicit Place(std::uint32_t c, bool negate) : classes(c), negated(negate) {}

  [[nodiscard]] bool fits(char32_t c) const {
    return classes == 0 ? c == letter : ((classes_of(c) & classes) != 0) != negated;
  }
};

/// In a replacement: what the pattern's place i was.
[[nodiscard]] constexpr char32_t group(char32_t i) { return 0x180000 + i; }

/// Replaces each match of `pattern` by `replacement`.
void substitute(std::u32string& text, const std::vector<Place>& pattern,
                std::u32string_view replacement);
/// The same for a literal.
void substitute(std::u32string& text, std::u32string_view literal, std::u32string_view replacement);

/// Every run of spaces becomes one.
void collapse_spaces(std::u32string& text);
/// Python's str.strip() and str.split().
[[nodiscard]] std::u32string_view strip(std::u32string_view text);
[[nodiscard]] std::vector<std::u32string> words(std::u32string_view text);

/// `text` is valid UTF-8; what is no code point becomes U+FFFD on the way back.
[[nodiscard]] std::u32string to_letters(std::string_view text);
[[nodiscard]] std::string to_utf8(std::u32string_view letters);

}  // namespace nativo::text::moses
