#include "text/moses_rules.h"

#include <array>

#include "text/code_point_classes.h"

namespace nativo::text::moses {
namespace {

/// Signs that join or end letters in Indic scripts (virama, nukta): sacremoses/indic.py.
constexpr const char* kIndicSigns =
    "\\u094D\\u09CD\\u0A4D\\u0ACD\\u0B4D\\u0BCD\\u0C4D\\u0CCD\\u0D3B\\u0D3C\\u0D4D\\u0EBA\\u1039"
    "\\u1714\\u1BAB\\uA8C4\\uA8F3\\uA8F4\\uA953\\uAAF6\\U00010A3F\\U00011046\\U000110B9\\U00011133"
    "\\U000111C0\\U00011235\\U000112EA\\U0001134D\\U00011442\\U000114C2\\U000115BF\\U0001163F"
    "\\U000116B6\\U00011839\\U000119E0\\U00011A34\\U00011C3F\\U00011D44\\U00011D45\\U00011D97"
    "\\u0DCA\\u093C\\u09BC\\u0A3C\\u0ABC\\u0AFD\\u0AFE\\u0AFF\\u0B3C\\u0CBC\\u1C37\\U000110BA"
    "\\U00011173\\U000111CA\\U00011236\\U000112E9\\U0001133C\\U00011446\\U000114C3\\U000115C0"
    "\\U000116B7\\U0001183A\\U00011D42\\U0001E94A";

/// The tables cover the first plane without ideographs and Hangul syllables, as of Unicode 7.
std::string table(const std::string& classes) {
  return "[[" + classes +
         "&[\\u0000-\\uFFFF]&[:Age=7.0:]-[:Ideographic:]-[:Script=Han:]-[\\uAC00-\\uD7A3]"
         "-[\\u0F82\\u0F83\\u1063\\u1064\\u1069-\\u106D\\u1087-\\u108D\\u108F\\u109A\\u109B"
         "\\u1C36\\uA802\\uA80B\\uA9E5\\uAA7B-\\uAA7D]]\\u135F\\u25CC\\u3006]";
}

CodePointClasses make_classes() {
  const std::string alnum = table("[[:Alphabetic:][:Nd:]]");
  const std::string alpha = table("[[:Alphabetic:]]");
  const auto with_signs = [](const std::string& set) { return "[" + set + kIndicSigns + "]"; };
  const std::array<CodePointRanges, 11> sets = {
      code_points("[[:White_Space:]\\u001C-\\u001F]"),
      code_points("[:Nd:]"),
      code_points("[[:N:]&[\\u0000-\\uFFFF]&[:Age=8.0:]-[:Ideographic:]-[:Script=Han:]]"),
      code_points(with_signs(alnum).c_str()),
      code_points(with_signs(alpha).c_str()),
      code_points(alpha.c_str()),
      code_points("[[[:Lowercase:]&[:Age=10.0:]-[\\u10D0-\\u10FA\\u10FC-\\u10FF]]\\u25CC]"),
      code_points("[[:Sc:]&[:Age=7.0:]]"),
      code_points("[[:Script_Extensions=Han:]\\u25CC]"),
      code_points("[[:Script_Extensions=Hiragana:][:Script_Extensions=Katakana:]\\u25CC]"),
      code_points("[:Script_Extensions=Hangul:]"),
  };
  return CodePointClasses(sets);
}

}  // namespace

std::uint32_t classes_of(char32_t c) {
  static const CodePointClasses classes = make_classes();
  return classes.of(c);
}

void substitute(std::u32string& text, const std::vector<Place>& pattern,
                std::u32string_view replacement) {
  const auto matches = [&](std::size_t at) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (!pattern[i].fits(text[at + i])) return false;
    }
    return true;
  };
  std::u32string out;
  std::size_t copied = 0;  // of the text, into `out`
  for (std::size_t at = 0; at + pattern.size() <= text.size();) {
    if (!matches(at)) {
      ++at;
      continue;
    }
    out.append(text, copied, at - copied);
    for (const char32_t c : replacement) out += c >= group(0) ? text[at + (c - group(0))] : c;
    at += pattern.size();
    copied = at;
  }
  if (copied == 0) return;
  out.append(text, copied);
  text = std::move(out);
}

void substitute(std::u32string& text, std::u32string_view literal,
                std::u32string_view replacement) {
  std::size_t at = text.find(literal);
  if (at == std::u32string::npos) return;
  std::u32string out;
  std::size_t copied = 0;
  for (; at != std::u32string::npos; at = text.find(literal, copied)) {
    out.append(text, copied, at - copied);
    out += replacement;
    copied = at + literal.size();
  }
  out.append(text, copied);
  text = std::move(out);
}

void collapse_spaces(std::u32string& text) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == U' ' && kept > 0 && text[kept - 1] == U' ') continue;
    text[kept++] = text[i];
  }
  text.resize(kept);
}

std::u32string_view strip(std::u32string_view text) {
  while (!text.empty() && (classes_of(text.front()) & kSpace) != 0) text.remove_prefix(1);
  while (!text.empty() && (classes_of(text.back()) & kSpace) != 0) text.remove_suffix(1);
  return text;
}

std::vector<std::u32string> words(std::u32string_view text) {
  std::vector<std::u32string> all;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && (classes_of(text[i]) & kSpace) == 0) continue;
    if (i > begin) all.emplace_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return all;
}

std::u32string to_letters(std::string_view text) {
  std::u32string letters;
  letters.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) letters += decode_utf8(text, at);
  return letters;
}

std::string to_utf8(std::u32string_view letters) {
  std::string text;
  text.reserve(letters.size());
  for (const char32_t c : letters) append_utf8(text, c < 0x110000 ? c : U'\uFFFD');
  return text;
}

}  // namespace nativo::text::moses
