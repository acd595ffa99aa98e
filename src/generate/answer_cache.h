// Answers of language models that were paid for, kept on the disk by their question. Not here:
// asking (generate/chat_client.h). Rule: what is in the cache is the answer, and what it has cost
// together is known when it is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "generate/chat_model.h"
#include "io/keyed_log.h"

namespace nativo::generate {

/// One thread uses it; processes may share the folder.
class AnswerCache {
 public:
  /// Reads `folder`, or makes it. Damaged lines cost their answers and a warning. Throws what
  /// io::KeyedLog throws.
  AnswerCache(const std::string& folder, io::Disk& disk);

  /// The key of a request's body to a server.
  [[nodiscard]] static std::string key(std::string_view url, std::string_view body);

  /// Nothing for a question that was never answered, or by a version that wrote something else.
  [[nodiscard]] std::optional<ChatAnswer> find(const std::string& key) const;

  /// Keeps an answer that cost so many tokens.
  void put(const std::string& key, const ChatAnswer& answer, std::int64_t tokens);

  /// Remembers what an answer that never came may have cost.
  void lose(std::int64_t most_tokens);

  /// On the disk when it returns.
  void sync() { log_.sync(); }

  /// Tokens that all answers here have cost, those of earlier runs included, and at most what was
  /// lost; of processes that share the folder, what was there when it was opened.
  [[nodiscard]] std::int64_t spent_tokens() const { return spent_; }

 private:
  std::int64_t spent_ = 0;  // `log_` adds to it while it is read
  io::KeyedLog log_;
};

}  // namespace nativo::generate
