#include "generate/chat_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "base/strings.h"

namespace nativo::generate {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::int64_t kMessageTokens = 16;  ///< around each message, in any template we know
constexpr std::int64_t kMostTokens = 1'000'000'000;

/// JSON that nests deeper than any answer does would cost memory by the bracket.
bool too_deep(std::string_view json) {
  int depth = 0;
  bool inside = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (inside) {
      if (c == '\\') ++i;
      inside = c != '"';
    } else if (c == '"') {
      inside = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

std::optional<Json> parse(std::string_view body) {
  if (too_deep(body)) return std::nullopt;
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

const Json* find(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

std::string string_of(const Json& json, const char* key) {
  const Json* const value = find(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::int64_t count_of(const Json* usage, const char* key) {
  const Json* const value = usage == nullptr ? nullptr : find(*usage, key);
  if (value == nullptr || !value->is_number_unsigned()) return -1;
  const auto count = value->get<std::uint64_t>();
  return count > static_cast<std::uint64_t>(kMostTokens) ? -1 : static_cast<std::int64_t>(count);
}

Rejection reject(std::string rule, std::string_view body) {
  return {std::move(rule), printable(utf8_prefix(trim(body), 200))};
}

/// A string, or the texts of a list of parts.
std::optional<std::string> text_of(const Json& message) {
  const Json* const content = find(message, "content");
  if (content == nullptr) return std::nullopt;
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return std::nullopt;
  std::string text;
  for (const Json& part : *content) {
    if (string_of(part, "type") != "text") return std::nullopt;
    text += string_of(part, "text");
  }
  return text;
}

}  // namespace

std::string chat_request_body(const ChatQuestion& question, const ChatModelOptions& options) {
  Json body = Json::object();
  body["model"] = options.model;
  body["messages"] = Json::array();
  for (const text::ChatMessage& message : question.messages) {
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  body["temperature"] = options.temperature;
  body["seed"] = options.seed;
  body["max_tokens"] = question.max_tokens;
  body["stream"] = false;
  if (!options.extra_body.empty()) {
    const Json extra = Json::parse(options.extra_body, nullptr, false);
    if (!extra.is_object()) {
      throw Error(ExitCode::kConfig, "extra_body is not a JSON object",
                  "write it like '{\"top_p\": 0.9}'");
    }
    for (const auto& [key, value] : extra.items()) {
      if (value.is_null()) {
        body.erase(key);
      } else {
        body[key] = value;
      }
    }
  }
  return dump_json(body);
}

std::int64_t most_prompt_tokens(const ChatQuestion& question) {
  std::int64_t tokens = kMessageTokens;
  for (const text::ChatMessage& message : question.messages) {
    tokens += kMessageTokens + std::ssize(message.role) + std::ssize(message.content);
  }
  return tokens;
}

Result<ChatReply> parse_chat_reply(std::string_view body) {
  body = trim(body);
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  if (!is_valid_utf8(body)) return Rejection{"not_utf8", "an answer that is not UTF-8"};
  if (body.starts_with('<')) return reject("html", body);
  if (body.starts_with("data:") || body.starts_with("event:")) return reject("event_stream", body);
  const std::optional<Json> json = parse(body);
  if (!json) return reject("not_json", body);
  if (find(*json, "error") != nullptr) {
    std::string code;
    return Rejection{"error_with_status_200", chat_error_message(body, code)};
  }
  const Json* const choices = find(*json, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) {
    return reject("no_choices", body);
  }
  const Json& choice = choices->front();
  ChatReply reply;
  const std::string finish = string_of(choice, "finish_reason");
  const Json* const message = find(choice, "message");
  const std::string refusal = message == nullptr ? std::string() : string_of(*message, "refusal");
  std::optional<std::string> text;
  if (message != nullptr) text = text_of(*message);
  if (finish == "content_filter") {
    reply.answer.end = ChatEnd::kContentFilter;
  } else if (!refusal.empty()) {
    reply.answer.end = ChatEnd::kRefusal;
    text = refusal;
  } else if (!text || finish == "tool_calls" || finish == "function_call") {
    return reject("no_text", body);
  } else {
    reply.answer.end = finish == "length" ? ChatEnd::kLength : ChatEnd::kStop;
  }
  if (text) reply.answer.text = std::move(*text);
  const Json* const usage = find(*json, "usage");
  reply.prompt_tokens = count_of(usage, "prompt_tokens");
  reply.completion_tokens = count_of(usage, "completion_tokens");
  return reply;
}

std::string chat_error_message(std::string_view body, std::string& code) {
  code.clear();
  std::string message;
  if (is_valid_utf8(body)) {
    if (const std::optional<Json> json = parse(body)) {
      const Json* const error = find(*json, "error");
      if (error != nullptr && error->is_string()) message = error->get<std::string>();
      if (error != nullptr && error->is_object()) {
        message = string_of(*error, "message");
        code = string_of(*error, "code");
        if (code.empty()) code = string_of(*error, "type");
      }
      if (message.empty()) message = string_of(*json, "message");
    }
  }
  if (message.empty()) message = std::string(trim(body));
  return replace_all(printable(utf8_prefix(message, 300)), "\n", " ");
}

}  // namespace nativo::generate
