// One item of an evaluation set, and how each kind of row becomes one. The prompts are those of
// lm-evaluation-harness 0.4 (xcopa_it, lambada_openai_mt_it, m_mmlu_it, arc_it) and, for question
// answering, RiTA ita-eval's squad_it, so that numbers can be compared.
// Rule: an evaluation set is used whole; a bad row ends the run, naming file and line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace nativo::eval {

/// commonsense         XCOPA: {premise, choice1, choice2, question: cause|effect, label: 0|1}
/// question_answering  SQuAD: {context, question, answers: [text], [{text}] or {text: [..]}}, or
/// the
///                     nested file of SQuAD 1.1 {data: [{paragraphs: [{context, qas}]}]}
/// next_word           LAMBADA: {text}; the last word is asked for
/// multiple_choice     MMLU: {instruction|question, option_a.. or choices, answer|label}; letters
/// cloze               ARC: the same rows; the options' text itself is scored
enum class TaskKind { kCommonsense, kQuestionAnswering, kNextWord, kMultipleChoice, kCloze };

/// Throws Error(kConfig) on an unknown name.
[[nodiscard]] TaskKind task_kind(std::string_view name);

struct Item {
  std::string prompt;                ///< what stands before the continuation
  std::vector<std::string> choices;  ///< continuations, each with its leading space
  std::size_t gold = 0;              ///< the right one
  std::vector<std::string> answers;  ///< question_answering: all that count as right
};

/// The item as a solved example.
[[nodiscard]] std::string solved(const Item& item);

/// A row as an item; a Rejection says which field is wrong (rule "bad_eval_row").
[[nodiscard]] Result<Item> parse_item(TaskKind kind, const Json& row);

/// All items in `bytes`: JSON lines, one JSON array of rows, or a nested SQuAD file. `where` is for
/// messages; `limit` > 0 keeps the first so many. Throws Error(kData) naming the line or row, also
/// when there is no item at all.
[[nodiscard]] std::vector<Item> parse_items(TaskKind kind, std::string_view bytes,
                                            std::string_view where, std::int64_t limit);

/// The same from a file, compressed or not. Throws Error(kMissingInput | kData | kIo).
[[nodiscard]] std::vector<Item> load_items(TaskKind kind, const std::filesystem::path& path,
                                           std::int64_t limit);

}  // namespace nativo::eval
