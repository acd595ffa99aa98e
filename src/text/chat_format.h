// Conversations as token ids, in the words of the model's own folder: its chat template where it
// has one, otherwise Mistral's instruct format (text/instruct_format.h).
// Rule: what a message says never becomes a control token.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nativo::text {

struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

/// Token ids with a mark on those that are trained on: the assistant's and the one that ends its
/// turn.
struct ChatTokens {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> trained;  ///< same length as ids; 1 = trained on as a target
};

/// The day that templates see where the same input must give the same tokens: 1 July 2024, noon.
[[nodiscard]] std::tm fixed_day();

/// How one model's conversations are written. Immutable; its functions may run on several threads.
class ChatFormat {
 public:
  /// From Tokenizer::files(). A tokenizer.json without a template gets kInstructTemplate, a
  /// tokenizer.model without one (or with that one) the instruct format itself. `today` is for
  /// templates that print a date. The tokenizer must outlive this. Throws Error(kData) when the
  /// template is damaged.
  explicit ChatFormat(const Tokenizer& tokenizer, const std::tm& today = fixed_day());

  /// A whole conversation, which ends with the assistant. Throws Error(kData) when the format or
  /// the template refuses it. With a template the ids are those of transformers'
  /// apply_chat_template, but that control tokens spelled in messages stay letters; a token is
  /// trained on when one of its bytes is of what RenderedChat::trained says.
  [[nodiscard]] ChatTokens conversation(const std::vector<ChatMessage>& messages) const;

  /// The prompt for the next assistant turn: messages end with the user's.
  [[nodiscard]] std::vector<TokenId> prompt(const std::vector<ChatMessage>& messages) const;

  /// Tokens that end an answer beside Tokenizer::end_ids(): the control token that the template
  /// puts behind the assistant's words, [INST] and [/INST] in the instruct format.
  [[nodiscard]] const std::vector<TokenId>& stop_tokens() const { return stop_tokens_; }

 private:
  [[nodiscard]] RenderedChat render(const std::vector<ChatMessage>& messages, bool prompt) const;
  [[nodiscard]] ChatTokens tokens_of(const RenderedChat& chat) const;
  void find_stop_tokens();

  const Tokenizer& tokenizer_;
  std::tm today_;
  std::optional<ChatTemplate> template_;
  std::vector<TokenId> stop_tokens_;
};

/// A plain document: BOS (if there is one), text, EOS; everything trained on but the BOS. Throws
/// Error(kData) when the tokenizer has no EOS.
[[nodiscard]] ChatTokens encode_document(const Tokenizer& tokenizer, std::string_view text);

}  // namespace nativo::text
