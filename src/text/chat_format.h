// Conversations as token ids, in Mistral's instruct format:
//   <s>[INST] user [/INST] assistant</s>[INST] user [/INST] assistant</s>
// A system message is put before the first user message, separated by a blank line. With models
// whose vocabulary has [INST] and [/INST] as control pieces (v2, v3, ours) these are single tokens,
// otherwise (v1) they are text. The ids are those of Mistral's own mistral-common
// (InstructTokenizerV1-V3), but that its V2 and V3 repeat the system message before the last user
// message; spaces at an answer's end are dropped as there. Text that spells [INST] is plain text
// with control pieces; v1 cannot tell it apart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nativo::text {

struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

/// Token ids with a mark on those that are trained on: the assistant's and the EOS that ends its
/// turn.
struct ChatTokens {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> trained;  ///< same length as ids; 1 = trained on as a target
};

/// A whole conversation. Messages must alternate user/assistant after an optional system message
/// and end with the assistant; throws Error(kData) otherwise, or when the vocabulary has no BOS or
/// EOS.
[[nodiscard]] ChatTokens encode_chat(const Tokenizer& tokenizer,
                                     const std::vector<ChatMessage>& messages);

/// The prompt for the next assistant turn: messages end with the user's.
[[nodiscard]] std::vector<TokenId> encode_chat_prompt(const Tokenizer& tokenizer,
                                                      const std::vector<ChatMessage>& messages);

/// A plain document: <s> text </s>, everything trained on but the BOS.
[[nodiscard]] ChatTokens encode_document(const Tokenizer& tokenizer, std::string_view text);

}  // namespace nativo::text
