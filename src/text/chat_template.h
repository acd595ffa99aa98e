// A model's own chat template, from its files: conversation in, text out, with the bytes that came
// from messages (which must never become special tokens) and those a model learns to say.
// Not here: token ids (text/chat_format.h), the template language (text/jinja_interpreter.h).
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/byte_range.h"
#include "text/jinja_interpreter.h"
#include "text/tokenizer_files.h"

namespace nativo::text {

/// What a template sees, as transformers' apply_chat_template passes it.
struct ChatInput {
  Json messages = Json::array();  ///< objects with "role" and "content", perhaps "tool_calls", ...
  Json tools = nullptr;           ///< JSON schemas, or null
  Json documents = nullptr;
  Json extra = Json::object();  ///< further variables: {"enable_thinking": false}
  bool add_generation_prompt = false;
};

struct RenderedChat {
  std::string text;
  /// What messages, tools and documents gave, in order, apart from each other. A special token that
  /// is spelled inside or across the edge of one of these is text. The roles that models know
  /// (system, user, assistant, tool, developer, ...) are not content: templates build tokens of
  /// them ("<|user|>"); any other role is.
  std::vector<ByteRange> content;
  /// What the assistant says, in order: its messages with the markup that ends a turn.
  std::vector<ByteRange> trained;
};

/// A template's text, and the file it is from.
struct ChatTemplateSource {
  std::string text;
  std::string name;
};

/// The template of a model's folder: chat_template.jinja, or "chat_template" of
/// tokenizer_config.json (of named ones, the one called "default"); nothing when there is none.
/// Throws Error(kData) that names the file when one of them is damaged.
[[nodiscard]] std::optional<ChatTemplateSource> find_chat_template(const TokenizerFiles& files);

/// Immutable; render() may run on several threads at once.
class ChatTemplate {
 public:
  /// `tokenizer_config` gives bos_token, eos_token and their like, and the special tokens of
  /// added_tokens_decoder.
  ChatTemplate(std::string_view source, std::string name, const Json& tokenizer_config);

  /// Throws Error(kData): see jinja::Template::render. `now` is for strftime_now().
  /// `trained` comes from {% generation %} blocks when the template has them, otherwise it is, for
  /// each message of the assistant, what follows the prompt that asks for it (when that prompt is
  /// a prefix of the whole; else what follows the first byte of its content), through the special
  /// token that ends the turn, or the markup up to white space when there is none.
  [[nodiscard]] RenderedChat render(const ChatInput& input, const std::tm& now) const;

 private:
  [[nodiscard]] jinja::Rendered run(const ChatInput& input, std::size_t messages, bool prompt,
                                    const std::tm& now) const;
  [[nodiscard]] ByteRange turn(const ChatInput& input, std::size_t index,
                               const jinja::Rendered& whole, const std::tm& now) const;

  jinja::Template template_;
  std::vector<std::pair<std::string, std::string>> special_;  ///< variable, token
  std::vector<std::string> marks_;                            ///< all special tokens, spelled
};

}  // namespace nativo::text
