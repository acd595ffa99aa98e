#include "eval/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/strings.h"
#include "eval/answer_text.h"
#include "eval/encoding.h"
#include "generate/text.h"

namespace nativo::eval {
namespace {

/// Items scored between two looks at progress and Ctrl-C; enough requests to fill batches.
constexpr std::size_t kItemsAtOnce = 128;

/// What ends an answer. The full stop is not a stop string of the harness, but only the text before
/// it counts: stopping there gives the same answer sooner.
const std::vector<std::string>& answer_stops() {
  static const std::vector<std::string> stops = {"\n\n", "</s>", "<|im_end|>", "."};
  return stops;
}

bool too_long(const generate::ScoreRequest& request, std::int64_t window) {
  return std::ssize(request.context) + std::ssize(request.continuation) > window + 1;
}

/// Scores of all choices of all items, in order, chunk by chunk.
class ChoiceScorer {
 public:
  ChoiceScorer(generate::LanguageModel& model, const Task& task) : model_(model), task_(task) {}

  /// The scores of items [begin, end): one vector an item. Counts truncated items.
  std::vector<std::vector<generate::Score>> score(std::size_t begin, std::size_t end) {
    std::vector<generate::ScoreRequest> requests;
    for (std::size_t i = begin; i < end; ++i) {
      const std::string prompt = task_.prompt(i);
      bool truncated = false;
      for (const std::string& choice : task_.items[i].choices) {
        requests.push_back(encode_pair(model_.tokenizer(), prompt, choice));
        const auto& request = requests.back();
        truncated = truncated || too_long(request, model_.context_length());
        if (std::ssize(request.continuation) > model_.context_length()) {
          throw Error(ExitCode::kData,
                      fmt::format("{}: item {}: a text of {} tokens is longer than the model's "
                                  "context of {}",
                                  printable(task_.options.path), i + 1, request.continuation.size(),
                                  model_.context_length()),
                      "shorten it or remove the item");
        }
      }
      truncated_ += truncated ? 1 : 0;
    }
    const std::vector<generate::Score> scores = model_.score(requests);
    std::vector<std::vector<generate::Score>> by_item;
    auto next = scores.begin();
    for (std::size_t i = begin; i < end; ++i) {
      const auto count = std::ssize(task_.items[i].choices);
      by_item.emplace_back(next, next + count);
      next += count;
    }
    return by_item;
  }

  [[nodiscard]] std::int64_t truncated() const { return truncated_; }

 private:
  generate::LanguageModel& model_;
  const Task& task_;
  std::int64_t truncated_ = 0;
};

/// Characters of a choice without its leading space.
double characters(const std::string& choice) {
  return static_cast<double>(
      std::max<std::size_t>(count_code_points(std::string_view(choice).substr(1)), 1));
}

/// 1 when the gold choice has the greatest value (the first among equals, as numpy's argmax).
template <class Value>
double gold_wins(const Item& item, const Value& value) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < item.choices.size(); ++i) {
    if (value(i) > value(best)) best = i;
  }
  return best == item.gold ? 1.0 : 0.0;
}

void add_choice_metrics(const Item& item, const std::vector<generate::Score>& scores,
                        std::vector<Column>& columns) {
  columns[0].items.push_back(gold_wins(item, [&](std::size_t i) { return scores[i].log_prob; }));
  if (columns.size() > 1) {
    columns[1].items.push_back(gold_wins(
        item, [&](std::size_t i) { return scores[i].log_prob / characters(item.choices[i]); }));
  }
}

/// The model's answer to one item; true in `truncated` when the prompt lost its beginning.
std::string answer(generate::LanguageModel& model, const Task& task, std::size_t index,
                   bool& truncated) {
  std::vector<text::TokenId> prompt = encode_prompt(model.tokenizer(), task.prompt(index));
  const std::int64_t window = model.context_length();
  const std::int64_t new_tokens =
      std::min(task.options.max_tokens, std::max<std::int64_t>(window / 2, 1));
  const std::int64_t room = std::max<std::int64_t>(window - new_tokens, 1);
  truncated = std::ssize(prompt) > room;
  if (truncated) prompt.erase(prompt.begin(), prompt.end() - room);
  const generate::TextOptions options{
      .sampler = generate::greedy(new_tokens), .stop_strings = answer_stops(), .stop_tokens = {}};
  return first_sentence(generate::generate_text(model, prompt, options).text);
}

std::vector<Column> columns_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCommonsense:
    case TaskKind::kMultipleChoice:
      return {{"acc", {}}};
    case TaskKind::kCloze:
      return {{"acc", {}}, {"acc_norm", {}}};
    case TaskKind::kQuestionAnswering:
      return {{"em", {}}, {"f1", {}}, {"gold_logprob", {}}};
    case TaskKind::kNextWord:
      return {{"acc", {}}, {"perplexity", {}}};
  }
  return {};
}

}  // namespace

std::string Task::prompt(std::size_t index) const {
  std::string text;
  std::int64_t used = 0;
  for (std::size_t i = 0; i < shots.size() && used < options.shots; ++i) {
    if (shots_from_items && i == index) continue;
    text += solved(shots[i]) + "\n\n";
    ++used;
  }
  return text + items[index].prompt;
}

std::string Task::fingerprint() const {
  Sha256 digest;
  const auto add = [&](std::string_view field) {
    digest.update(fmt::format("{}:", field.size()));
    digest.update(field);
  };
  add(fmt::format("1 {} {} {}", options.kind, options.shots, options.max_tokens));
  for (std::size_t i = 0; i < items.size(); ++i) {
    add(prompt(i));
    for (const std::string& choice : items[i].choices) add(choice);
    add(std::to_string(items[i].gold));
    for (const std::string& gold : items[i].answers) add(gold);
  }
  return digest.hex();
}

Task load_task(const std::string& name, const TaskOptions& options) {
  const std::string place = "eval.task." + printable(name);
  if (options.kind.empty()) {
    throw Error(ExitCode::kConfig, fmt::format("[{}] has no kind", place),
                "kinds: commonsense, question_answering, next_word, multiple_choice, cloze");
  }
  if (options.path.empty()) {
    throw Error(ExitCode::kConfig, fmt::format("[{}] has no path", place),
                "path = the file with the items");
  }
  Task task{
      .name = name, .kind = task_kind(options.kind), .options = options, .items = {}, .shots = {}};
  task.items = load_items(task.kind, options.path, options.limit);
  if (options.shots == 0) return task;
  task.shots_from_items = options.fewshot.empty() || options.fewshot == options.path;
  // With examples out of the set itself one more is needed: the item is never its own example.
  const std::int64_t wanted = options.shots + (task.shots_from_items ? 1 : 0);
  const std::string& file = task.shots_from_items ? options.path : options.fewshot;
  task.shots = load_items(task.kind, file, wanted);
  if (std::ssize(task.shots) < wanted) {
    throw Error(ExitCode::kConfig,
                fmt::format("[{}] asks for {} solved examples, {} has only {} rows", place,
                            options.shots, printable(file), task.shots.size()),
                "lower shots or give a longer fewshot file");
  }
  return task;
}

TaskResult run_task(generate::LanguageModel& model, const Task& task) {
  TaskResult result{.name = task.name,
                    .kind = task.options.kind,
                    .fingerprint = task.fingerprint(),
                    .columns = columns_of(task.kind),
                    .answers = {}};
  Progress progress("eval " + printable(task.name), task.items.size(), "items");
  ChoiceScorer scorer(model, task);
  std::vector<Column>& columns = result.columns;
  for (std::size_t begin = 0; begin < task.items.size(); begin += kItemsAtOnce) {
    const std::size_t end = std::min(begin + kItemsAtOnce, task.items.size());
    stop_if_interrupted();
    const auto scores = scorer.score(begin, end);
    for (std::size_t i = begin; i < end; ++i) {
      const Item& item = task.items[i];
      const std::vector<generate::Score>& choices = scores[i - begin];
      if (task.kind == TaskKind::kQuestionAnswering) {
        stop_if_interrupted();
        bool truncated = false;
        result.answers.push_back(answer(model, task, i, truncated));
        result.truncated += truncated ? 1 : 0;
        columns[0].items.push_back(exact_match(result.answers.back(), item.answers));
        columns[1].items.push_back(f1(result.answers.back(), item.answers));
        columns[2].items.push_back(choices[0].log_prob / characters(item.choices[0]));
        progress.advance();
      } else if (task.kind == TaskKind::kNextWord) {
        columns[0].items.push_back(choices[0].greedy ? 1.0 : 0.0);
        columns[1].items.push_back(choices[0].log_prob);
      } else {
        add_choice_metrics(item, choices, columns);
      }
    }
    if (task.kind != TaskKind::kQuestionAnswering) progress.advance(end - begin);
  }
  if (task.kind != TaskKind::kQuestionAnswering) result.truncated = scorer.truncated();
  return result;
}

}  // namespace nativo::eval
