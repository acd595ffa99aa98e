// layers: eval
// Any bytes as an evaluation set: refused with an Error, or items that can be asked.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "eval/answer_text.h"
#include "eval/item.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nativo::eval::TaskKind;
  if (size == 0) return 0;
  const TaskKind kinds[] = {TaskKind::kCommonsense, TaskKind::kQuestionAnswering,
                            TaskKind::kNextWord, TaskKind::kMultipleChoice, TaskKind::kCloze};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  static_cast<void>(nativo::eval::normalize_answer(bytes));
  static_cast<void>(nativo::eval::clean_wikihow(bytes));
  try {
    for (const auto& item : nativo::eval::parse_items(kinds[data[0] % 5], bytes, "fuzz", 0)) {
      if (item.choices.empty() || item.gold >= item.choices.size()) std::abort();
      for (const auto& choice : item.choices) {
        if (choice.size() < 2 || choice.front() != ' ') std::abort();
      }
      static_cast<void>(nativo::eval::solved(item));
      static_cast<void>(nativo::eval::f1(item.prompt, item.answers));
    }
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
