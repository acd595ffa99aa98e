// The filter's rules, one table in the order in which they are asked; the first that is broken
// names the reject.
//
// What is judged: prose only, that is text without fenced and inline code, formulas, tags and
// addresses, so that no code answer dies of a rule for prose; a record without prose passes all of
// them. Inline code and formulas count as words where repetition is measured, because sentences
// that differ in them differ.
//
// Documents (`text`) meet every rule, as in FineWeb-2. Conversations (`messages`) are spared what
// only a page of running text can be asked for (ends of lines, lines a word, share of words with
// letters, mean word length, repeated lines): answers may be lists, tables or numbers. Repetition
// in a conversation is measured in each message of 30 words or more, because answers repeat their
// questions rightly.
//
// clang-format off
// | rule                 | documents             | conversations            | value                     |
// |----------------------|-----------------------|--------------------------|---------------------------|
// | other_language       | yes                   | yes                      | the record's lang         |
// | unbalanced_fence     | yes                   | each message             | where                     |
// | leftover_placeholder | translated            | translated               | the placeholder           |
// | too_short, too_long  | yes                   | yes                      | tokens                    |
// | language             | from 40 letters       | from 40 letters          | CLD2's verdict, if sure   |
// | language_score       | from 200 letters      | from 200 letters         | share in the language     |
// | untranslated         | translated            | translated, each message | share in English segments |
// | unknown_words        | translated            | translated               | share, from the lineage   |
// | loop                 | yes                   | each message             | words                     |
// | stop_words           | from 30 words         | from 30 words            | stop words                |
// | top_Ngram, dup_Ngram | from 30 words         | each message of 30 words | share of characters       |
// | duplicate_lines      | yes                   | -                        | share of lines            |
// | duplicate_characters | yes                   | -                        | share of characters       |
// | mean_word_length     | yes                   | -                        | characters                |
// | alphabetic_words     | yes                   | -                        | share of words            |
// | line_punctuation     | yes                   | -                        | share of lines            |
// | newline_ratio        | yes                   | -                        | line breaks a word        |
// clang-format on
#pragma once

#include <optional>

#include "base/result.h"
#include "filter/options.h"
#include "filter/subject.h"

namespace nativo::filter {

/// The first broken rule with what was measured and the threshold ("0.31 > 0.144"), or nothing.
[[nodiscard]] std::optional<Rejection> first_broken_rule(const Subject& subject,
                                                         const FilterOptions& options);

}  // namespace nativo::filter
