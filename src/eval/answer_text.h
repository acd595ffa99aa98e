// Rules on the text of questions and answers, as the public evaluations have them. Python's words
// (strip, lower, \w) are followed to the letter, because the published numbers come from there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::eval {

/// Bytes of white space at the end of `text`, as Python's str.rstrip() removes them.
[[nodiscard]] std::size_t trailing_space(std::string_view text);

/// Python's str.strip().
[[nodiscard]] std::string_view strip(std::string_view text);

/// Without its last code point (Python's text[:-1]).
[[nodiscard]] std::string_view drop_last(std::string_view text);

/// First code point in lower case, "È" -> "è" (xcopa/utils.py convert_choice).
[[nodiscard]] std::string lower_first(std::string_view text);

/// Lower case; ASCII punctuation removed; the Italian articles il lo la i gli le un uno una del
/// dello della dei degli delle removed as whole words; white space folded. Punctuation goes first,
/// so "l'oro" becomes "loro" (SQuAD-it's evaluation).
[[nodiscard]] std::string normalize_answer(std::string_view text);

/// 1 when the normalised texts are equal for any of `golds`, else 0.
[[nodiscard]] double exact_match(std::string_view answer, const std::vector<std::string>& golds);

/// The best F1 of the bags of normalised words over `golds` (SQuAD's evaluation; two empty answers
/// agree, as in SQuAD 2.0).
[[nodiscard]] double f1(std::string_view answer, const std::vector<std::string>& golds);

/// What `^([^.]*)` catches, stripped: the answer up to its first full stop.
[[nodiscard]] std::string first_sentence(std::string_view text);

/// okapi's preprocess(): strip, " [title]" -> ". ", [bracketed] removed, double spaces halved.
[[nodiscard]] std::string clean_wikihow(std::string_view text);

}  // namespace nativo::eval
