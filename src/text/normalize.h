// Text made comparable: folded for deduplication, reduced to its prose for language rules. Nothing
// here is ever written back into a record.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nativo::text {

/// The code point at `offset` < size, which moves behind it; a byte that is not UTF-8 gives U+FFFD.
[[nodiscard]] char32_t next_code_point(std::string_view text, std::size_t& offset);

/// `text` under NFKC_Casefold (Unicode 15, chapter 3.13): case, widths, ligatures and invisible
/// characters no longer differ. ASCII apostrophe for U+2019.
[[nodiscard]] std::string fold_case(std::string_view text);

/// What two copies of one text have in common: fold_case, then every run of white space and
/// punctuation becomes one space, none at the ends. Symbols (+ < = > $ …) stay, and so do - * / %
/// beside a digit: "5-3" is not "5*3". Inside ``` and ~~~ fences only white space is folded.
[[nodiscard]] std::string fold_text(std::string_view text);

/// Whether `inline code` and $LaTeX$ stay in what prose() gives.
enum class Inline { kDrop, kKeep };

/// The natural language in `text`: without fenced code, code without a fence (text/code_lines.h),
/// `inline code`, $LaTeX$, HTML tags, URLs and
/// a YAML front matter; each leaves one space, lines stay lines. A fence that is never closed runs
/// to the end (CommonMark 0.31, 4.5). Fences are ``` of any length and ~~~ of up to five: longer
/// rows of tildes underline headings in reStructuredText.
[[nodiscard]] std::string prose(std::string_view text, Inline code = Inline::kDrop);

/// True when every fence of `text` is closed.
[[nodiscard]] bool fences_closed(std::string_view text);

}  // namespace nativo::text
