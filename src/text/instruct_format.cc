#include "text/instruct_format.h"

#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::text {
namespace {

class ChatEncoder {
 public:
  explicit ChatEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
    if (tokenizer.bos_id() < 0 || tokenizer.eos_id() < 0) {
      throw Error(ExitCode::kData, "the tokenizer has no pieces that begin and end a sequence",
                  "use a tokenizer with <s> and </s>");
    }
    const TokenId open = tokenizer.piece_id("[INST]");
    const TokenId close = tokenizer.piece_id("[/INST]");
    if (open >= 0 && close >= 0 && tokenizer.is_control(open) && tokenizer.is_control(close)) {
      open_ = open;
      close_ = close;
    }
    add(tokenizer.bos_id(), false);
  }

  void user(const std::string& content) {
    if (open_ >= 0) {
      add(open_, false);
      add(content, false);
      add(close_, false);
    } else {
      add("[INST] " + content + " [/INST]", false);
    }
  }

  void assistant(std::string_view content) {
    if (open_ >= 0) content = content.substr(0, content.find_last_not_of(' ') + 1);
    add(content, true);
    add(tokenizer_.eos_id(), true);
  }

  [[nodiscard]] ChatTokens take() { return std::move(tokens_); }

 private:
  void add(TokenId id, bool trained) {
    tokens_.ids.push_back(id);
    tokens_.trained.push_back(trained ? 1 : 0);
  }
  void add(std::string_view text, bool trained) {
    for (const TokenId id : tokenizer_.encode(text)) add(id, trained);
  }

  const Tokenizer& tokenizer_;
  TokenId open_ = -1;  ///< [INST] as one token, or -1 when it is text
  TokenId close_ = -1;
  ChatTokens tokens_;
};

[[noreturn]] void bad_conversation(std::size_t index, std::string_view what) {
  throw Error(ExitCode::kData, fmt::format("message {} of a conversation {}", index + 1, what),
              "a conversation is an optional system message, then user and assistant in turn");
}

ChatTokens encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                  std::string_view last_role) {
  ChatEncoder encoder(tokenizer);
  std::string system;
  std::size_t index = 0;
  if (!messages.empty() && messages[0].role == "system") {
    system = messages[0].content;
    index = 1;
  }
  const std::size_t first = index;
  for (; index < messages.size(); ++index) {
    const bool is_user = (index - first) % 2 == 0;
    const std::string_view expected = is_user ? "user" : "assistant";
    if (messages[index].role != expected) {
      bad_conversation(index, fmt::format("is from \"{}\" where {} should speak",
                                          printable(messages[index].role), expected));
    }
    if (!is_user) {
      encoder.assistant(messages[index].content);
    } else if (index == first && !system.empty()) {
      encoder.user(system + "\n\n" + messages[index].content);
    } else {
      encoder.user(messages[index].content);
    }
  }
  if (messages.size() == first || messages.back().role != last_role) {
    bad_conversation(messages.empty() ? 0 : messages.size() - 1,
                     fmt::format("should be the last, from {}", last_role));
  }
  return encoder.take();
}

}  // namespace

ChatTokens encode_instruct(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages) {
  return encode(tokenizer, messages, "assistant");
}

std::vector<TokenId> encode_instruct_prompt(const Tokenizer& tokenizer,
                                            const std::vector<ChatMessage>& messages) {
  return encode(tokenizer, messages, "user").ids;
}

}  // namespace nativo::text
