// Text as words, the way the corpus filters of datatrove and FineWeb-2 count them: words, numbers
// and punctuation marks are tokens, white space is not. Not here: sub-word tokens
// (text/tokenizer.h).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nativo::text {

/// One token of a text.
struct Word {
  std::string_view text;     ///< bytes inside the text that was split
  std::uint32_t chars = 0;   ///< code points
  bool alphabetic = false;   ///< has at least one letter
  bool punctuation = false;  ///< a mark or symbol, no letter and no digit
};

/// Splits `text`, which must outlive the result. A word is a run of letters, digits and combining
/// marks, held together by an apostrophe between letters, which ends an Italian elision: "l'acqua"
/// is "l'" and "acqua", "don't" is "don'" and "t". Numbers keep their inner point or comma
/// ("3.500,20"). Every other visible character is a mark; a row of one and the same mark is one
/// token
/// ("...", "-----"). A byte that is not UTF-8 counts as a mark.
[[nodiscard]] std::vector<Word> split_words(std::string_view text);

/// The most frequent words of `lang` (lower case, elisions with their apostrophe). Italian: the 18
/// of FineWeb-2 (configs/ita_Latn.yml); English: the 8 of Gopher (arXiv 2112.11446, A1.1). Other
/// languages: empty.
[[nodiscard]] std::span<const std::string_view> stop_words(std::string_view lang);

}  // namespace nativo::text
