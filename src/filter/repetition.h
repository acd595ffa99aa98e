// How often a text repeats itself, as measured by datatrove's GopherRepetitionFilter (after Rae et
// al., arXiv 2112.11446, table A1) and FineWebQualityFilter. Measures only; thresholds are in
// options.h.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "text/words.h"

namespace nativo::filter {

/// False for what structures a page: blank lines, rules, frames of tables, Markdown headings.
[[nodiscard]] bool is_running_line(std::string_view line);

/// Lines that repeat an earlier line; only running lines count.
struct DuplicateLines {
  double lines = 0.0;       ///< share of the lines
  double characters = 0.0;  ///< share of the lines' bytes
};
[[nodiscard]] DuplicateLines duplicate_lines(std::string_view prose);

/// Characters in all occurrences of the most frequent run of `n` words (one space between them)
/// over `chars`, the text's length; 0 when no run occurs three times
/// (datatrove: twice; in 40 words a name that is said twice would do). Case matters. Callers leave
/// punctuation out of `words`, which datatrove does not: frames of tables and formulas are no
/// repetition.
[[nodiscard]] double top_ngram_share(std::span<const text::Word> words, std::size_t n,
                                     std::size_t chars);

/// Characters in runs of `n` words that occurred before, over `chars`; a repeated run is skipped as
/// a whole, so that no character counts twice.
[[nodiscard]] double duplicate_ngram_share(std::span<const text::Word> words, std::size_t n,
                                           std::size_t chars);

/// Length in words of the longest stretch in which the same 1 to 4 words follow each other at least
/// three times ("olive olive olive": what translation models do when they lose the thread). Tokens
/// without a letter and single characters break it: rows of numbers are no loop.
[[nodiscard]] std::size_t longest_loop(std::span<const text::Word> words);

}  // namespace nativo::filter
