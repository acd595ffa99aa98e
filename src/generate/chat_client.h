// Chat questions to an OpenAI-compatible server: many at once, within a rate limit and a budget,
// asked again when the network or the server fails, and never again once they are answered. Rule:
// an answer is written to the cache before anybody sees it; what is in the cache is the answer.
#pragma once

#include <memory>
#include <string>

#include "generate/chat_model.h"
#include "io/file.h"

namespace nativo::generate {

/// Throws Error(kConfig) when the URL, the model, extra_body or the key is missing or cannot be
/// used. Asks nobody.
void check_chat_client(const ChatModelOptions& options);

/// One thread drives it.
class ChatClient final : public ChatModel {
 public:
  /// Reads the cache and the key; asks nobody yet. Throws what check_chat_client and io::KeyedLog
  /// throw.
  explicit ChatClient(const ChatModelOptions& options, io::Disk& disk = io::posix_disk());
  ~ChatClient() override;

  /// Equal questions are asked once. A question fails (kFailed) when the server refuses it (400,
  /// 413, 422), gives no usable answer max_retries times, or breaks at it as often while it answers
  /// others. Throws Error:
  ///  kConfig   the key is not accepted, the URL or the model does not exist
  ///  kTryAgain the server is not there, or answers nothing; the budget is used up; quota; a signal
  ///  kIo       the connection is not safe, or every question is refused
  /// Before it throws, it waits for the answers that are on their way.
  [[nodiscard]] std::vector<ChatAnswer> ask(std::span<const ChatQuestion> questions) override;

  [[nodiscard]] std::string version() const override;
  [[nodiscard]] ChatUsage usage() const override;
  /// Tokens that the answers in the cache folder have cost, those of earlier runs included, and at
  /// most what was lost.
  [[nodiscard]] std::int64_t spent_tokens() const;

 private:
  struct State;
  class Round;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::generate
