// layers: generate
// Any bytes as the body of a server's answer or error: refused with a rule, or an answer of valid
// UTF-8 that says how it ended.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "generate/chat_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::generate;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto reply = parse_chat_reply(body);
  if (!reply) {
    if (reply.rejection().rule.empty()) std::abort();
  } else {
    if (reply.value().answer.end == ChatEnd::kFailed) std::abort();
    if (!nativo::is_valid_utf8(reply.value().answer.text)) std::abort();
    if (reply.value().prompt_tokens < -1 || reply.value().completion_tokens < -1) std::abort();
  }
  std::string code;
  const std::string words = chat_error_message(body, code);
  if (!nativo::is_valid_utf8(words) || words.find('\x1b') != std::string::npos) std::abort();
  return 0;
}
