// Questions to a chat model and its answers, wherever it runs: behind an OpenAI-compatible server
// (generate/chat_client.h) or in this process (generate/local_chat.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "generate/device_options.h"
#include "text/chat_format.h"

namespace nativo::generate {

struct ChatQuestion {
  std::vector<text::ChatMessage> messages;  ///< the last one is the user's
  std::int64_t max_tokens = 256;            ///< of the answer
};

/// How an answer ended.
enum class ChatEnd {
  kStop,           ///< the model had said all
  kLength,         ///< max_tokens, or the context was full: the text is cut off
  kContentFilter,  ///< the server withheld it
  kRefusal,        ///< the model declined
  kFailed,         ///< there is no answer, see `reason`
};

/// "stop", "length", "content_filter", "refusal", "failed".
[[nodiscard]] std::string_view chat_end_name(ChatEnd end);

struct ChatAnswer {
  ChatEnd end = ChatEnd::kFailed;
  std::string text;
  std::string reason;  ///< why it failed; no secrets
};

/// What it took so far.
struct ChatUsage {
  std::int64_t asked = 0;    ///< questions answered by the model
  std::int64_t cached = 0;   ///< answered from the cache
  std::int64_t failed = 0;   ///< without an answer
  std::int64_t retries = 0;  ///< asked again because of the network or the server
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t lost_tokens = 0;  ///< at most: what answers that never came whole may have cost
};

class ChatModel {
 public:
  virtual ~ChatModel() = default;

  /// One answer a question, in order. Throws Error when no answers can be had at all, or when a
  /// budget is used up (kTryAgain): answers that came until then are not lost where there is a
  /// cache.
  [[nodiscard]] virtual std::vector<ChatAnswer> ask(std::span<const ChatQuestion> questions) = 0;

  /// Names model and sampling: as far as we can know, equal versions give equal answers.
  [[nodiscard]] virtual std::string version() const = 0;
  [[nodiscard]] virtual ChatUsage usage() const = 0;
};

/// Which model, and how it is asked.
struct ChatModelOptions {
  std::string model_dir;  ///< a local model; "" = url
  DeviceOptions device;   ///< of a local model
  std::string url;
  std::string model;
  std::string api_key_env;
  std::int64_t concurrency = 8;
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  std::int64_t max_retries = 6;
  double retry_wait = 1;
  double timeout = 120;
  std::int64_t budget_tokens = 0;
  double temperature = 0;
  std::int64_t seed = 1;
  std::int64_t max_tokens = 4096;
  std::int64_t reasoning_tokens = 0;
  std::string extra_body;
  std::string cache = "llm-cache";
  void visit(config::Visitor& v);
};

/// Throws what make_chat_model would, as far as can be known without a model or a server.
void check_chat_model(const ChatModelOptions& options);

/// The model that `options` name. Throws Error(kConfig) when neither or both of model_dir and url
/// are given, and what ChatClient and load_local_model throw.
[[nodiscard]] std::unique_ptr<ChatModel> make_chat_model(const ChatModelOptions& options);

}  // namespace nativo::generate
