#include "text/words.h"

#include <unicode/uchar.h>

#include <array>
#include <cstddef>

#include "text/normalize.h"

namespace nativo::text {
namespace {

enum class Kind { kSpace, kLetter, kDigit, kApostrophe, kSeparator, kMark };

struct Char {
  char32_t code = 0;
  std::size_t end = 0;  ///< offset behind it
};

Char next_char(std::string_view text, std::size_t offset) {
  const char32_t code = next_code_point(text, offset);
  return {code, offset};
}

Kind kind_of(char32_t code) {
  if (code < 0x80) {
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z')) return Kind::kLetter;
    if (code >= '0' && code <= '9') return Kind::kDigit;
    if (code == '\'') return Kind::kApostrophe;
    if (code == '.' || code == ',') return Kind::kSeparator;
    return code <= ' ' || code == 0x7F ? Kind::kSpace : Kind::kMark;
  }
  if (code == 0x2019) return Kind::kApostrophe;
  const std::uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(code));
  if ((category & (U_GC_L_MASK | U_GC_M_MASK)) != 0) return Kind::kLetter;
  if ((category & U_GC_N_MASK) != 0) return Kind::kDigit;
  if ((category & (U_GC_Z_MASK | U_GC_C_MASK)) != 0) return Kind::kSpace;
  return Kind::kMark;
}

// English and Italian words that say nothing and are everywhere.
constexpr std::array<std::string_view, 18> kItalian = {"di",  "e",   "il",  "la",    "in", "a",
                                                       "del", "che", "è",   "della", "un", "per",
                                                       "nel", "l'",  "con", "da",    "i",  "una"};
constexpr std::array<std::string_view, 8> kEnglish = {"the", "be",   "to",   "of",
                                                      "and", "that", "have", "with"};

}  // namespace

std::vector<Word> split_words(std::string_view text) {
  std::vector<Word> words;
  words.reserve(text.size() / 5 + 1);
  std::size_t offset = 0;
  while (offset < text.size()) {
    const std::size_t begin = offset;
    Char current = next_char(text, offset);
    Kind kind = kind_of(current.code);
    offset = current.end;
    if (kind == Kind::kSpace) continue;
    Word word{.text = {}, .chars = 1};
    if (kind != Kind::kLetter && kind != Kind::kDigit) {
      word.punctuation = true;
      const char32_t mark = current.code;
      while (offset < text.size() && (current = next_char(text, offset)).code == mark) {
        offset = current.end;
        ++word.chars;
      }
    } else {
      word.alphabetic = kind == Kind::kLetter;
      while (offset < text.size()) {
        const Kind before = kind;
        current = next_char(text, offset);
        kind = kind_of(current.code);
        if (kind == Kind::kLetter || kind == Kind::kDigit) {
          word.alphabetic |= kind == Kind::kLetter;
        } else if (kind == Kind::kApostrophe || kind == Kind::kSeparator) {
          const Kind wanted = kind == Kind::kApostrophe ? Kind::kLetter : Kind::kDigit;
          if (before != wanted || current.end >= text.size()) break;
          if (kind_of(next_char(text, current.end).code) != wanted) break;
          if (kind == Kind::kApostrophe) {  // the elision ends with its apostrophe
            offset = current.end;
            ++word.chars;
            break;
          }
        } else {
          break;
        }
        offset = current.end;
        ++word.chars;
      }
    }
    word.text = text.substr(begin, offset - begin);
    words.push_back(word);
  }
  return words;
}

std::span<const std::string_view> stop_words(std::string_view lang) {
  if (lang == "it") return kItalian;
  if (lang == "en") return kEnglish;
  return {};
}

}  // namespace nativo::text
