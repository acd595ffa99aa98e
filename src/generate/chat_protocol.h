// The words of an OpenAI-compatible POST /chat/completions: question in, JSON out; JSON in, answer
// out. Not here: sending them (generate/chat_client.h).
// Source: https://platform.openai.com/docs/api-reference/chat/object. Servers take liberties with
// it; what cannot be misunderstood is accepted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "generate/chat_model.h"

namespace nativo::generate {

/// The request as JSON. Equal questions and options give equal bytes. Throws Error(kConfig) when
/// options.extra_body is no JSON object.
[[nodiscard]] std::string chat_request_body(const ChatQuestion& question,
                                            const ChatModelOptions& options);

/// Tokens that a question can cost at most: a byte is at most one token, and templates put a few
/// around each message.
[[nodiscard]] std::int64_t most_prompt_tokens(const ChatQuestion& question);

struct ChatReply {
  ChatAnswer answer;                    ///< never kFailed
  std::int64_t prompt_tokens = -1;      ///< as the server counts; -1 = it does not say
  std::int64_t completion_tokens = -1;  ///< reasoning included
};

/// The body of a 2xx answer. Of several choices the first counts. Rejections, all of which may pass
/// when asked again: not_utf8, html, event_stream, not_json, error_with_status_200, no_choices,
/// no_text.
[[nodiscard]] Result<ChatReply> parse_chat_reply(std::string_view body);

/// What the body of an error says, printable and at most 300 bytes: error.message, or how the body
/// begins. `code` gets error.code or error.type ("insufficient_quota"), or "".
[[nodiscard]] std::string chat_error_message(std::string_view body, std::string& code);

}  // namespace nativo::generate
