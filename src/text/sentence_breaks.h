// Where sentences end inside a line: the rules of Unicode (UAX #29, sentence boundaries) with ICU's
// character classes, tailored: no break before a lower-case letter, after an abbreviation or inside
// a protected span; "…" ends like "..."; marks of Markdown and closing tags belong to the sentence
// they close.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "text/protected_spans.h"

namespace nativo::text {

/// Where one sentence ends and, behind white space, the next begins.
struct SentenceBreak {
  std::size_t end;
  std::size_t next;
};

/// The breaks inside bytes [begin, end) of `text`, in order; `spans` are those of the whole text.
[[nodiscard]] std::vector<SentenceBreak> find_sentence_breaks(std::string_view text,
                                                              std::span<const Span> spans,
                                                              std::size_t begin, std::size_t end);

}  // namespace nativo::text
