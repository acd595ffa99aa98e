// Token ids to text, piece by piece, for answers that are shown while they are made.
// Rule: the pieces joined are exactly Tokenizer::decode of all ids, and no piece splits a
// character.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace nativo::generate {

/// Text deltas of one growing sequence. The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// The text that `id` completes; "" while bytes of a character are missing.
  [[nodiscard]] std::string push(text::TokenId id);

  /// What was held back, incomplete characters as U+FFFD.
  [[nodiscard]] std::string finish();

 private:
  void forget_old_tokens();

  const text::Tokenizer& tokenizer_;
  std::vector<text::TokenId> window_;  ///< latest ids; enough to decode the next one in context
  std::size_t given_ = 0;              ///< bytes of decode(window_) already handed out
};

}  // namespace nativo::generate
