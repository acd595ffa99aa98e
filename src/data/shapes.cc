// One JSON row to records: the shapes that instruction sets and text collections come in.
#include "data/shapes.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/strings.h"

namespace nativo::data {
namespace {

namespace dom = simdjson::dom;

// A conversation tree repeats its upper messages in every path: these bound what a small hostile
// row can blow up to. OASST's widest trees have some 30 paths.
constexpr std::size_t kMaxPaths = 4096;
constexpr std::size_t kMaxTreeBytes = std::size_t{64} << 20;

Rejection reject(std::string rule, std::string value) {
  return {std::move(rule), std::move(value)};
}

std::optional<dom::element> find(const dom::object& row, std::string_view key) {
  dom::element value;
  if (row[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

std::optional<std::string_view> find_text(const dom::object& row, std::string_view key) {
  std::string_view text;
  if (row[key].get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

/// The first of `keys` that the row has with a value; its name in `key`.
std::optional<dom::element> find_any(const dom::object& row,
                                     std::initializer_list<std::string_view> keys,
                                     std::string_view& key) {
  for (const std::string_view candidate : keys) {
    if (auto value = find(row, candidate)) {
      key = candidate;
      return value;
    }
  }
  return std::nullopt;
}

bool has_any(const dom::object& row, std::initializer_list<std::string_view> keys) {
  std::string_view ignored;
  return find_any(row, keys, ignored).has_value();
}

std::string role_of(std::string_view name) {
  if (name == "user" || name == "human" || name == "prompter") return "user";
  if (name == "assistant" || name == "gpt" || name == "bot" || name == "model") return "assistant";
  if (name == "system") return "system";
  return {};
}

/// Trimmed contents, an empty system message dropped; then: [system] (user assistant)+.
std::optional<Rejection> check_conversation(std::vector<Message>& messages) {
  for (Message& message : messages) message.content = std::string(trim(message.content));
  if (!messages.empty() && messages.front().role == "system" && messages.front().content.empty()) {
    messages.erase(messages.begin());
  }
  const std::size_t first = !messages.empty() && messages.front().role == "system" ? 1 : 0;
  if (messages.size() <= first) return reject("empty_content", "no messages");
  for (std::size_t i = first; i < messages.size(); ++i) {
    const std::string_view wanted = (i - first) % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != wanted) {
      return reject("bad_roles",
                    fmt::format("message {} is {}, not {}", i + 1, messages[i].role, wanted));
    }
    if (messages[i].content.empty()) {
      return reject("empty_content", fmt::format("message {} ({})", i + 1, messages[i].role));
    }
  }
  if (messages.back().role != "assistant") return reject("bad_roles", "the last message is user");
  return std::nullopt;
}

RowResult conversation(std::vector<Message> messages) {
  if (auto problem = check_conversation(messages)) return std::move(*problem);
  std::vector<Record> records(1);
  records.front().messages = std::move(messages);
  return records;
}

/// {key: [{role_key: .., content_key: ..}, ...]}
RowResult message_list(const dom::object& row, std::string_view key, std::string_view role_key,
                       std::string_view content_key) {
  dom::array list;
  if (row[key].get(list) != simdjson::SUCCESS) {
    return reject("bad_record", fmt::format("{} is not an array", key));
  }
  std::vector<Message> messages;
  for (const dom::element item : list) {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) {
      return reject("bad_record", fmt::format("an item of {} is not an object", key));
    }
    const auto role = find_text(object, role_key);
    const auto content = find_text(object, content_key);
    if (!role || !content) {
      return reject("bad_record", fmt::format("an item of {} has no text \"{}\"", key,
                                              role ? content_key : role_key));
    }
    std::string known = role_of(*role);
    if (known.empty())
      return reject("bad_roles", "unknown role " + printable(utf8_prefix(*role, 40)));
    messages.push_back({std::move(known), std::string(*content)});
  }
  return conversation(std::move(messages));
}

/// [system], a question of several parts joined by blank lines, an answer.
class Exchange {
 public:
  explicit Exchange(const dom::object& row) : row_(row) {}

  /// Adds the first of `keys` that is there; "" and null count as absent when `required` is false.
  void add(std::string& to, std::initializer_list<std::string_view> keys, std::string_view what,
           bool required) {
    std::string_view key;
    const auto value = find_any(row_, keys, key);
    std::string_view text;
    if (!value) {
      if (required) fail(reject("bad_record", fmt::format("no {}", what)));
      return;
    }
    if (value->get(text) != simdjson::SUCCESS) {
      fail(reject("bad_record", fmt::format("{} is not a string", key)));
      return;
    }
    text = trim(text);
    if (text.empty() && required) fail(reject("empty_content", std::string(key)));
    if (text.empty() || (!required && text == "<noinput>")) return;
    if (!to.empty()) to += "\n\n";
    to += text;
  }

  void system(std::initializer_list<std::string_view> keys) { add(system_, keys, "system", false); }
  void question(std::initializer_list<std::string_view> keys, bool required) {
    add(question_, keys, *keys.begin(), required);
  }
  void answer(std::initializer_list<std::string_view> keys) {
    add(answer_, keys, *keys.begin(), true);
  }
  std::string& answer_text() { return answer_; }

  RowResult take() {
    if (problem_) return std::move(*problem_);
    std::vector<Message> messages;
    if (!system_.empty()) messages.push_back({"system", std::move(system_)});
    messages.push_back({"user", std::move(question_)});
    messages.push_back({"assistant", std::move(answer_)});
    return conversation(std::move(messages));
  }

 private:
  void fail(Rejection problem) {
    if (!problem_) problem_ = std::move(problem);
  }

  const dom::object& row_;
  std::string system_;
  std::string question_;
  std::string answer_;
  std::optional<Rejection> problem_;
};

/// {instruction, input | context, output | response}; Self-Instruct's seeds hold `instances`.
RowResult alpaca(const dom::object& row) {
  dom::array instances;
  if (row["instances"].get(instances) != simdjson::SUCCESS) {
    Exchange exchange(row);
    exchange.system({"system", "system_prompt"});
    exchange.question({"instruction"}, true);
    exchange.question({"input", "context"}, false);
    exchange.answer({"output", "response"});
    return exchange.take();
  }
  std::vector<Record> records;
  for (const dom::element item : instances) {
    dom::object instance;
    if (item.get(instance) != simdjson::SUCCESS) {
      return reject("bad_record", "an item of instances is not an object");
    }
    Exchange outer(row);
    std::string instruction;
    outer.add(instruction, {"instruction"}, "instruction", true);
    Exchange inner(instance);
    std::string output;
    inner.add(instruction, {"input"}, "input", false);
    inner.add(output, {"output"}, "output", true);
    RowResult made = conversation({{"user", instruction}, {"assistant", output}});
    if (!made) return made;
    records.push_back(std::move(made.value().front()));
  }
  if (records.empty()) return reject("empty_content", "instances");
  return records;
}

RowResult question_answer(const dom::object& row) {
  Exchange exchange(row);
  exchange.system({"system", "system_prompt"});
  exchange.question({"context"}, false);
  exchange.question({"question"}, true);
  exchange.answer({"answer", "response"});
  const std::size_t marks = strip_calculator_marks(exchange.answer_text());
  RowResult result = exchange.take();
  if (result && marks > 0) {
    add_lineage(result.value().front(), "ingest", {{"calculator_marks_removed", marks}});
  }
  return result;
}

RowResult prompt_completion(const dom::object& row) {
  Exchange exchange(row);
  exchange.system({"system", "system_prompt"});
  exchange.question({"prompt"}, true);
  exchange.answer({"completion", "response", "output"});
  return exchange.take();
}

/// Walks an OpenAssistant tree depth first, better-ranked replies first.
class TreeWalk {
 public:
  /// The records, or the first problem that makes the row unusable.
  RowResult run(const dom::object& root) {
    visit(root, 0);
    if (problem_) return std::move(*problem_);
    if (records_.empty()) return reject("empty_content", "no path ends with an answer");
    return std::move(records_);
  }

 private:
  /// True when the subtree gave at least one record. simdjson's depth limit bounds the recursion.
  bool visit(const dom::object& node, std::size_t depth) {
    bool deleted = false;
    if (node["deleted"].get(deleted) == simdjson::SUCCESS && deleted) return false;
    const auto role = find_text(node, "role");
    const auto text = find_text(node, "text");
    if (!role || !text) return fail("bad_record", "a message of the tree has no role or text");
    const std::string known = role_of(*role);
    if (known != (depth % 2 == 0 ? "user" : "assistant")) {
      return fail("bad_roles", fmt::format("message {} of a path is {}", depth + 1,
                                           printable(utf8_prefix(*role, 40))));
    }
    const std::string_view content = trim(*text);
    if (content.empty()) return false;
    path_.push_back({known, std::string(content)});
    bool found = false;
    for (const dom::object& reply : ranked_replies(node)) {
      if (problem_) break;
      found = visit(reply, depth + 1) || found;
    }
    if (!found && known == "assistant" && !problem_) found = add_path();
    path_.pop_back();
    return found;
  }

  static std::vector<dom::object> ranked_replies(const dom::object& node) {
    std::vector<std::pair<std::int64_t, dom::object>> replies;
    dom::array array;
    if (node["replies"].get(array) == simdjson::SUCCESS) {
      for (const dom::element item : array) {
        dom::object reply;
        if (item.get(reply) != simdjson::SUCCESS) continue;  // null in some exports
        std::int64_t rank = 0;
        if (reply["rank"].get(rank) != simdjson::SUCCESS) {
          rank = std::numeric_limits<std::int64_t>::max();
        }
        replies.emplace_back(rank, reply);
      }
    }
    std::ranges::stable_sort(replies, {}, [](const auto& reply) { return reply.first; });
    std::vector<dom::object> ordered;
    for (const auto& [rank, reply] : replies) ordered.push_back(reply);
    return ordered;
  }

  bool add_path() {
    for (const Message& message : path_) bytes_ += message.content.size();
    if (records_.size() == kMaxPaths || bytes_ > kMaxTreeBytes) {
      return fail("bad_record", fmt::format("a tree of more than {} paths or {}", kMaxPaths,
                                            human_bytes(static_cast<double>(kMaxTreeBytes))));
    }
    Record record;
    record.messages = path_;
    add_lineage(record, "ingest", {{"path", records_.size()}});
    records_.push_back(std::move(record));
    return true;
  }

  bool fail(std::string rule, std::string value) {
    if (!problem_) problem_ = reject(std::move(rule), std::move(value));
    return false;
  }

  std::vector<Message> path_;
  std::vector<Record> records_;
  std::size_t bytes_ = 0;
  std::optional<Rejection> problem_;
};

RowResult oasst_tree(const dom::object& row) {
  dom::object prompt;
  if (row["prompt"].get(prompt) != simdjson::SUCCESS) {
    return reject("bad_record", "prompt is not an object");
  }
  return TreeWalk().run(prompt);
}

RowResult text_row(const dom::object& row, std::string_view text_key) {
  std::string_view key = text_key;
  const auto value =
      text_key.empty() ? find_any(row, {"text", "content", "body"}, key) : find(row, text_key);
  std::string_view text;
  if (!value) {
    return reject("bad_record", fmt::format("no {}", printable(key.empty() ? "text" : key)));
  }
  if (value->get(text) != simdjson::SUCCESS) {
    return reject("bad_record", printable(key) + " is not a string");
  }
  std::vector<Record> records(1);
  Record& record = records.front();
  record.text = text;
  if (strip_front_matter(record.text)) add_lineage(record, "ingest", {{"front_matter_cut", true}});
  record.text = std::string(trim(record.text));
  if (record.text.empty()) return reject("empty_content", printable(key));
  return records;
}

std::optional<Shape> recognise(const dom::object& row, std::string_view text_key) {
  if (!text_key.empty() && has_any(row, {text_key})) return Shape::kText;
  if (has_any(row, {"messages"})) return Shape::kMessages;
  if (has_any(row, {"conversations"})) return Shape::kShareGpt;
  if (const auto prompt = find(row, "prompt"); prompt && prompt->is_object()) {
    return Shape::kOasstTree;
  }
  if (has_any(row, {"instruction"}) && has_any(row, {"output", "response", "instances"})) {
    return Shape::kAlpaca;
  }
  if (has_any(row, {"question"}) && has_any(row, {"answer", "response"})) {
    return Shape::kQuestionAnswer;
  }
  if (has_any(row, {"prompt"}) && has_any(row, {"completion", "response", "output"})) {
    return Shape::kPromptCompletion;
  }
  if (has_any(row, {"text", "content", "body"})) return Shape::kText;
  return std::nullopt;
}

RowResult convert(const dom::object& row, Shape shape, std::string_view text_key) {
  switch (shape) {
    case Shape::kMessages:
      return message_list(row, "messages", "role", "content");
    case Shape::kAlpaca:
      return alpaca(row);
    case Shape::kQuestionAnswer:
      return question_answer(row);
    case Shape::kPromptCompletion:
      return prompt_completion(row);
    case Shape::kShareGpt:
      return message_list(row, "conversations", "from", "value");
    case Shape::kOasstTree:
      return oasst_tree(row);
    case Shape::kText:
      break;
  }
  return text_row(row, text_key);
}

std::string key_list(const dom::object& row) {
  std::string keys;
  for (const auto [key, value] : row) {
    if (!keys.empty()) keys += ", ";
    keys += printable(utf8_prefix(key, 40));
    if (keys.size() > 200) return keys + ", ...";
  }
  return "keys: " + keys;
}

std::string own_task(const dom::object& row) {
  for (const std::string_view key : {"task", "category"}) {
    if (const auto text = find_text(row, key); text && !trim(*text).empty()) {
      return std::string(utf8_prefix(trim(*text), 80));
    }
  }
  return {};
}

}  // namespace

const std::vector<std::string_view>& shape_names() {
  static const std::vector<std::string_view> names = {
      "messages",   "alpaca", "question_answer", "prompt_completion", "sharegpt",
      "oasst_tree", "text"};
  return names;
}

RowResult row_to_records(std::string_view json_row, std::string_view shape,
                         std::string_view text_key) {
  if (!simdjson::validate_utf8(json_row.data(), json_row.size())) {
    return reject("invalid_utf8", "");
  }
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(json_row.data(), json_row.size()).get(root); error) {
    return reject("broken_json", simdjson::error_message(error));
  }
  dom::object row;
  if (root.get(row) != simdjson::SUCCESS) return reject("unknown_shape", "not an object");
  std::optional<Shape> known;
  if (shape == "auto") {
    known = recognise(row, text_key);
  } else if (const auto name = std::ranges::find(shape_names(), shape);
             name != shape_names().end()) {
    known = static_cast<Shape>(name - shape_names().begin());
  }
  if (!known) return reject("unknown_shape", key_list(row));
  RowResult result = convert(row, *known, text_key);
  if (result) {
    const std::string task = own_task(row);
    for (Record& record : result.value()) record.task = task;
  }
  return result;
}

}  // namespace nativo::data
