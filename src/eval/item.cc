#include "eval/item.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "eval/answer_text.h"
#include "io/lines.h"

namespace nativo::eval {
namespace {

constexpr const char* kRule = "bad_eval_row";
constexpr std::string_view kLetters = "ABCDEFGHIJ";

Rejection bad(std::string message) { return {.rule = kRule, .value = std::move(message)}; }

/// A string field of a row, or null.
const std::string* text_field(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? &found->get_ref<const std::string&>() : nullptr;
}

bool blank(const std::string* text) { return text == nullptr || strip(*text).empty(); }

Result<Item> commonsense(const Json& row) {
  const std::string* premise = text_field(row, "premise");
  const std::string* choices[] = {text_field(row, "choice1"), text_field(row, "choice2")};
  const std::string* question = text_field(row, "question");
  if (blank(premise)) return bad("\"premise\" must be a text");
  if (blank(choices[0])) return bad("\"choice1\" must be a text");
  if (blank(choices[1])) return bad("\"choice2\" must be a text");
  const bool cause = question != nullptr && *question == "cause";
  if (!cause && (question == nullptr || *question != "effect")) {
    return bad("\"question\" must be \"cause\" or \"effect\"");
  }
  const auto label = row.find("label");
  if (label == row.end() || !label->is_number_integer() || (*label != 0 && *label != 1)) {
    return bad("\"label\" must be 0 or 1");
  }
  Item item;
  item.prompt = std::string(drop_last(strip(*premise))) + (cause ? " perché" : " quindi");
  for (const std::string* choice : choices) item.choices.push_back(" " + lower_first(*choice));
  item.gold = *label == 1 ? 1 : 0;
  return item;
}

/// The text of one gold: the value itself or its "text"; null when it is neither.
const std::string* gold_text(const Json& value) {
  if (value.is_string()) return &value.get_ref<const std::string&>();
  return value.is_object() ? text_field(value, "text") : nullptr;
}

/// `context` stands in the row itself, or above it in a nested file.
Result<Item> question_answering(const Json& row, const std::string* context) {
  const std::string* question = text_field(row, "question");
  if (blank(context)) return bad("\"context\" must be a text");
  if (blank(question)) return bad("\"question\" must be a text");
  Item item;
  auto answers = row.find("answers");
  if (answers == row.end()) return bad("\"answers\" is missing");
  const Json* golds = &*answers;
  if (golds->is_object()) {  // Hugging Face's form: {"text": [..], "answer_start": [..]}
    const auto texts = golds->find("text");
    if (texts != golds->end()) golds = &*texts;
  }
  if (!golds->is_array() || golds->empty()) {
    return bad("\"answers\" must be a list of texts, or of objects with a \"text\"");
  }
  for (const Json& gold : *golds) {
    const std::string* text = gold_text(gold);
    if (blank(text)) return bad("an answer is not a text, or empty");
    item.answers.push_back(*text);
  }
  item.prompt = fmt::format("Contesto: {}\nDomanda: {}\nRisposta:", *context, *question);
  item.choices.push_back(" " + item.answers.front());
  return item;
}

Result<Item> next_word(const Json& row) {
  const std::string* text = text_field(row, "text");
  if (blank(text)) return bad("\"text\" must be a text");
  const std::size_t space = text->rfind(' ');
  Item item;
  if (space != std::string::npos) item.prompt = text->substr(0, space);
  const std::string word = space == std::string::npos ? *text : text->substr(space + 1);
  if (blank(&word)) return bad("\"text\" ends in a space: there is no last word");
  item.choices.push_back(" " + word);
  return item;
}

/// Options and the index of the right one, from either form of row.
struct Options {
  std::string question;
  std::vector<std::string> texts;
  std::size_t gold = 0;
};

Result<Options> read_options(const Json& row) {
  const std::string* question = text_field(row, "instruction");
  if (question == nullptr) question = text_field(row, "question");
  if (blank(question)) return bad("\"instruction\" or \"question\" must be a text");
  Options options{.question = *question, .texts = {}};
  if (const auto choices = row.find("choices"); choices != row.end()) {
    if (!choices->is_array()) return bad("\"choices\" must be an array of texts");
    for (const Json& choice : *choices) {
      if (!choice.is_string()) return bad("\"choices\" must be an array of texts");
      options.texts.push_back(choice.get<std::string>());
    }
  } else {
    for (const char* key : {"option_a", "option_b", "option_c", "option_d", "option_e"}) {
      const std::string* option = text_field(row, key);
      if (option == nullptr || option->empty()) break;
      options.texts.push_back(*option);
    }
  }
  if (options.texts.size() < 2 || options.texts.size() > kLetters.size()) {
    return bad(
        fmt::format("{} options; there must be 2 to {}", options.texts.size(), kLetters.size()));
  }
  for (const std::string& option : options.texts) {
    if (blank(&option)) return bad("an option is empty");
  }
  std::size_t gold = std::string::npos;
  if (const std::string* letter = text_field(row, "answer");
      letter != nullptr && letter->size() == 1) {
    gold = kLetters.find(letter->front());
  } else if (const auto label = row.find("label");
             label != row.end() && label->is_number_integer() && *label >= 0) {
    gold = label->get<std::size_t>();
  }
  if (gold >= options.texts.size()) {
    return bad("\"answer\" must be the letter, or \"label\" the index, of an option");
  }
  options.gold = gold;
  return options;
}

Result<Item> multiple_choice(const Json& row) {
  Result<Options> read = read_options(row);
  if (!read) return read.rejection();
  const Options& options = read.value();
  Item item;
  item.prompt = std::string(strip(options.question));
  for (std::size_t i = 0; i < options.texts.size(); ++i) {
    item.prompt += fmt::format("\n{}. {}", kLetters[i], options.texts[i]);
    item.choices.push_back(fmt::format(" {}", kLetters[i]));
  }
  item.prompt += "\nAnswer:";
  item.gold = options.gold;
  return item;
}

Result<Item> cloze(const Json& row) {
  Result<Options> read = read_options(row);
  if (!read) return read.rejection();
  const Options& options = read.value();
  Item item;
  item.prompt = fmt::format("Question: {}\nAnswer:", clean_wikihow(options.question));
  for (const std::string& option : options.texts) {
    const std::string clean = clean_wikihow(option);
    if (clean.empty()) return bad("an option is empty once [brackets] are removed");
    item.choices.push_back(" " + clean);
  }
  item.gold = options.gold;
  return item;
}

/// Adds an item or throws, naming `place` ("file:3", "file: row 3").
void add_item(Result<Item> item, std::string_view place, std::vector<Item>& items) {
  if (!item) {
    throw Error(ExitCode::kData, fmt::format("{}: {}", place, item.rejection().value),
                "an evaluation set is used whole; correct the row or remove it");
  }
  items.push_back(std::move(item.value()));
}

bool full(const std::vector<Item>& items, std::int64_t limit) {
  return limit > 0 && std::ssize(items) >= limit;
}

/// An array field of an object, or throws.
const Json& array_field(const Json& object, const char* key, std::string_view place) {
  if (object.is_object()) {
    if (const auto found = object.find(key); found != object.end() && found->is_array()) {
      return *found;
    }
  }
  throw Error(ExitCode::kData, fmt::format("{}: \"{}\" must be an array", place, key));
}

/// SQuAD 1.1's file: {data: [{paragraphs: [{context, qas: [{question, answers}]}]}]}.
std::vector<Item> nested_squad(const Json& file, std::string_view where, std::int64_t limit) {
  std::vector<Item> items;
  for (const Json& article : array_field(file, "data", where)) {
    for (const Json& paragraph : array_field(article, "paragraphs", where)) {
      for (const Json& question : array_field(paragraph, "qas", where)) {
        if (full(items, limit)) return items;
        const std::string place = fmt::format("{}: question {}", where, items.size() + 1);
        if (!question.is_object()) throw Error(ExitCode::kData, place + ": not an object");
        add_item(question_answering(question, text_field(paragraph, "context")), place, items);
      }
    }
  }
  return items;
}

/// The whole of `bytes` as one JSON value, when that is what it is: an array, or an object that
/// does not end with its first line.
std::optional<Json> as_one_value(std::string_view bytes, std::string_view where) {
  const std::string_view text = trim(bytes);
  if (text.starts_with('[')) return parse_json(text, where);
  if (!text.starts_with('{')) return std::nullopt;
  const std::string_view first_line = text.substr(0, text.find('\n'));
  const bool one_line = Json::accept(first_line);
  if (one_line && first_line.size() != text.size()) return std::nullopt;
  if (!one_line && !Json::accept(text)) return std::nullopt;
  Json value = parse_json(text, where);
  return value.contains("data") ? std::optional(std::move(value)) : std::nullopt;
}

}  // namespace

TaskKind task_kind(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, TaskKind>, 5> kKinds = {
      {{"commonsense", TaskKind::kCommonsense},
       {"question_answering", TaskKind::kQuestionAnswering},
       {"next_word", TaskKind::kNextWord},
       {"multiple_choice", TaskKind::kMultipleChoice},
       {"cloze", TaskKind::kCloze}}};
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  throw Error(ExitCode::kConfig, fmt::format("unknown kind of evaluation \"{}\"", printable(name)),
              "kinds: commonsense, question_answering, next_word, multiple_choice, cloze");
}

std::string solved(const Item& item) {
  // Text without a space before it begins with its word, not with the delimiter.
  const std::string& gold = item.choices[item.gold];
  return item.prompt.empty() ? gold.substr(1) : item.prompt + gold;
}

Result<Item> parse_item(TaskKind kind, const Json& row) {
  if (!row.is_object()) return bad("not a JSON object");
  switch (kind) {
    case TaskKind::kCommonsense:
      return commonsense(row);
    case TaskKind::kQuestionAnswering:
      return question_answering(row, text_field(row, "context"));
    case TaskKind::kNextWord:
      return next_word(row);
    case TaskKind::kMultipleChoice:
      return multiple_choice(row);
    case TaskKind::kCloze:
      return cloze(row);
  }
  return bad("unknown kind");
}

std::vector<Item> parse_items(TaskKind kind, std::string_view bytes, std::string_view where,
                              std::int64_t limit) {
  std::vector<Item> items;
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (const std::optional<Json> whole = as_one_value(bytes, where)) {
    if (whole->is_object()) {
      if (kind != TaskKind::kQuestionAnswering) {
        throw Error(ExitCode::kData,
                    fmt::format("{}: a nested SQuAD file, but the task is of another kind", where),
                    "set kind = \"question_answering\"");
      }
      items = nested_squad(*whole, where, limit);
    } else {
      for (std::size_t i = 0; i < whole->size() && !full(items, limit); ++i) {
        add_item(parse_item(kind, (*whole)[i]), fmt::format("{}: row {}", where, i + 1), items);
      }
    }
  } else {
    std::size_t line_number = 0;
    for (const std::string_view line : split(bytes, '\n')) {
      ++line_number;
      if (trim(line).empty()) continue;
      if (full(items, limit)) break;
      const std::string place = fmt::format("{}:{}", where, line_number);
      add_item(parse_item(kind, parse_json(line, place)), place, items);
    }
  }
  if (items.empty()) {
    throw Error(ExitCode::kData, fmt::format("{}: no items to evaluate", where));
  }
  return items;
}

std::vector<Item> load_items(TaskKind kind, const std::filesystem::path& path, std::int64_t limit) {
  return parse_items(kind, io::read_decompressed(path), printable(path.string()), limit);
}

}  // namespace nativo::eval
