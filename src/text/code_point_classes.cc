#include "text/code_point_classes.h"

#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace nativo::text {

CodePointRanges code_points(const char* expression) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeSet set(icu::UnicodeString::fromUTF8(expression), status);
  NATIVO_CHECK(U_SUCCESS(status), expression);
  CodePointRanges ranges;
  for (std::int32_t i = 0; i < set.getRangeCount(); ++i) {
    ranges.emplace_back(static_cast<char32_t>(set.getRangeStart(i)),
                        static_cast<char32_t>(set.getRangeEnd(i)));
  }
  return ranges;
}

CodePointClasses::CodePointClasses(std::span<const CodePointRanges> classes) {
  NATIVO_CHECK(classes.size() <= 32, "a mask holds 32 classes");
  std::vector<std::uint32_t> all(0x110000, 0);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    for (const auto& [first, last] : classes[i]) {
      for (char32_t c = first; c <= last && c < 0x110000; ++c) all[c] |= 1U << i;
    }
  }
  std::copy_n(all.begin(), 128, ascii_.begin());
  std::map<std::vector<std::uint32_t>, std::uint16_t> seen;
  for (std::size_t start = 0; start < all.size(); start += kBlock) {
    const std::vector<std::uint32_t> block(
        all.begin() + static_cast<std::ptrdiff_t>(start),
        all.begin() + static_cast<std::ptrdiff_t>(start + kBlock));
    const auto [entry, inserted] = seen.emplace(block, static_cast<std::uint16_t>(seen.size()));
    if (inserted) masks_.insert(masks_.end(), block.begin(), block.end());
    blocks_.push_back(entry->second);
  }
}

const CodePointClasses& letter_classes() {
  static const CodePointClasses classes = [] {
    const std::array<CodePointRanges, 8> sets = {
        code_points("[:White_Space:]"),
        code_points("[[:Alphabetic:][:M:][:Nd:][:Pc:]\\u200C\\u200D]"),
        code_points("[:N:]"),
        code_points("[[[:P:]&[:Age=8.0:]]\\u166D\\U000111C9"
                    "\\u0021-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u007E]"),
        code_points("[[[[:M:]&[:Age=9.0:]]\\u1CF2\\u1CF3]-[\\U000111C9]]"),
        code_points("[[[[:Mn:]&[:Age=8.0:]]\\u1734]-[\\u1885\\u1886\\uA9BD\\U000111C9]]"),
        code_points("[[[[:Cc:][:Cf:][:Co:]]&[:Age=8.0:]]-[\\t\\n\\r]]"),
        code_points("[\\u3400-\\u4DBF\\u4E00-\\u9FFF\\uF900-\\uFAFF\\U00020000-\\U0002A6DF"
                    "\\U0002A700-\\U0002B81F\\U0002B920-\\U0002CEAF\\U0002F800-\\U0002FA1F]"),
    };
    return CodePointClasses(sets);
  }();
  return classes;
}

void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

}  // namespace nativo::text
