#include "text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace nativo::text {
namespace {

constexpr std::array<std::string_view, 9> kRoles = {"system",   "user",      "assistant",
                                                    "tool",     "developer", "model",
                                                    "function", "ipython",   "tool_results"};

/// Owners of spans: message i is i, this is everything else from outside.
constexpr int kOther = -2;

/// A token of tokenizer_config.json: its text, or an object with its "content".
std::string token_text(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.contains("content") && json["content"].is_string())
    return json["content"].get<std::string>();
  return {};
}

/// transformers gives a message's reasoning under each name that templates read.
Json with_reasoning(Json message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!message.contains(name) || message[name].is_null()) continue;
    const Json reasoning = message[name];
    if (!message.contains("thinking")) message["thinking"] = reasoning;
    message["reasoning_content"] = reasoning;
    break;
  }
  return message;
}

jinja::Value message_value(jinja::Heap& heap, const Json& json, int owner) {
  jinja::Value value = heap.from_json(with_reasoning(json), owner);
  if (jinja::Value* role = jinja::find(heap, *value.dict, "role")) {
    const bool known = role->is(jinja::Kind::kString) &&
                       std::find(kRoles.begin(), kRoles.end(), role->string->bytes) != kRoles.end();
    if (known) *role = heap.string(role->string->bytes);
  }
  return value;
}

}  // namespace

std::optional<ChatTemplateSource> find_chat_template(const TokenizerFiles& files) {
  Json config = Json::object();
  if (const auto file = files.find(kTokenizerConfigFile); file != files.end()) {
    config = parse_json(file->second, kTokenizerConfigFile);
    if (!config.is_object())
      throw Error(ExitCode::kData, std::string(kTokenizerConfigFile) + ": not a JSON object");
  }
  if (const auto own = files.find(kChatTemplateFile); own != files.end())
    return ChatTemplateSource{own->second, kChatTemplateFile};
  if (!config.contains("chat_template") || config["chat_template"].is_null()) return std::nullopt;
  const Json& found = config["chat_template"];
  if (found.is_string()) return ChatTemplateSource{found.get<std::string>(), kTokenizerConfigFile};
  if (found.is_array()) {
    for (const Json& one : found) {
      if (one.is_object() && one.contains("name") && one["name"] == "default" &&
          one.contains("template") && one["template"].is_string())
        return ChatTemplateSource{one["template"].get<std::string>(), kTokenizerConfigFile};
    }
  }
  throw Error(ExitCode::kData,
              std::string(kTokenizerConfigFile) +
                  ": chat_template is neither a string nor a list with a "
                  "template called default",
              "put the template into chat_template.jinja beside it");
}

ChatTemplate::ChatTemplate(std::string_view source, std::string name, const Json& tokenizer_config)
    : template_(source, std::move(name)) {
  for (const auto& [key, value] : tokenizer_config.items()) {
    const std::string text = key.ends_with("_token") ? token_text(value) : std::string();
    if (text.empty()) continue;
    special_.emplace_back(key, text);
    marks_.push_back(text);
  }
  if (const auto added = tokenizer_config.find("added_tokens_decoder");
      added != tokenizer_config.end() && added->is_object()) {
    for (const auto& [id, token] : added->items()) {
      const std::string text = token_text(token);
      const auto special = token.is_object() ? token.find("special") : token.end();
      if (!text.empty() && special != token.end() && *special == true) marks_.push_back(text);
    }
  }
}

jinja::Rendered ChatTemplate::run(const ChatInput& input, std::size_t messages, bool prompt,
                                  const std::tm& now) const {
  return template_.render(
      [&](jinja::Heap& heap) {
        std::vector<jinja::Value> list;
        for (std::size_t i = 0; i < messages; ++i)
          list.push_back(message_value(heap, input.messages[i], static_cast<int>(i)));
        jinja::Variables variables;
        for (const auto& [name, token] : special_) variables.emplace_back(name, heap.string(token));
        for (const auto& [name, value] : input.extra.items())
          variables.emplace_back(name, heap.from_json(value, kOther));
        variables.emplace_back("messages", heap.list(std::move(list)));
        variables.emplace_back("tools", heap.from_json(input.tools, kOther));
        variables.emplace_back("documents", heap.from_json(input.documents, kOther));
        variables.emplace_back("add_generation_prompt", jinja::boolean(prompt));
        return variables;
      },
      now);
}

ByteRange ChatTemplate::turn(const ChatInput& input, std::size_t index,
                             const jinja::Rendered& whole, const std::tm& now) const {
  const std::string& text = whole.text.bytes;
  const auto& spans = whole.text.spans;
  const auto is_mine = [&](const jinja::Span& s) { return s.owner == static_cast<int>(index); };
  const auto first = std::find_if(spans.begin(), spans.end(), is_mine);
  const auto last = std::find_if(spans.rbegin(), spans.rend(), is_mine);
  std::size_t begin = first != spans.end() ? first->begin : std::string::npos;
  try {
    const jinja::Rendered prompt = run(input, index, true, now);
    if (text.starts_with(prompt.text.bytes) && prompt.text.bytes.size() <= begin)
      begin = prompt.text.bytes.size();
  } catch (const Error&) {
    // Some templates render no prompt here, after tool results for example: the content remains.
  }
  if (begin == std::string::npos) return {0, 0};
  // The markup that follows: up to the next content, no further than the message's own rendering.
  const std::size_t end = last != spans.rend() ? std::max(last->end, begin) : begin;
  std::size_t limit = text.size();
  for (const jinja::Span& span : spans)
    if (span.begin >= end && !is_mine(span)) limit = std::min(limit, span.begin);
  std::size_t stop = std::string::npos;
  for (const std::string& mark : marks_) {
    const std::size_t at = text.find(mark, end);
    if (at != std::string::npos && at + mark.size() <= limit)
      stop = std::min(stop, at + mark.size());
  }
  if (stop != std::string::npos) return {begin, stop};
  try {
    const std::string alone = run(input, index + 1, false, now).text.bytes;
    std::size_t same = end;
    while (same < limit && same < alone.size() && alone[same] == text[same]) ++same;
    while (same > end && (text[same - 1] == ' ' || text[same - 1] == '\n')) --same;
    return {begin, same};
  } catch (const Error&) {
    return {begin, end};
  }
}

RenderedChat ChatTemplate::render(const ChatInput& input, const std::tm& now) const {
  for (std::size_t i = 0; i < input.messages.size(); ++i) {
    if (!input.messages[i].is_object())
      throw Error(ExitCode::kData,
                  fmt::format("message {} of a conversation is not an object", i + 1));
  }
  const jinja::Rendered whole = run(input, input.messages.size(), input.add_generation_prompt, now);
  RenderedChat out;
  out.text = whole.text.bytes;
  for (const jinja::Span& span : whole.text.spans) {
    if (!out.content.empty() && out.content.back().second == span.begin) {
      out.content.back().second = span.end;
    } else {
      out.content.emplace_back(span.begin, span.end);
    }
  }
  if (!whole.generation.empty()) {
    out.trained = whole.generation;
    return out;
  }
  for (std::size_t i = 0; i < input.messages.size(); ++i) {
    const Json& message = input.messages[i];
    if (!message.contains("role") || message["role"] != "assistant") continue;
    ByteRange range = turn(input, i, whole, now);
    if (!out.trained.empty()) range.first = std::max(range.first, out.trained.back().second);
    if (range.second > range.first) out.trained.push_back(range);
  }
  return out;
}

}  // namespace nativo::text
