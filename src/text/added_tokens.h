// Tokens that are found in a text before anything else is done with it: control tokens such as
// <|im_end|>, and words added to a vocabulary.
// Rule: control tokens are found only where the caller says that the text may hold them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/aligned_text.h"
#include "text/byte_range.h"
#include "text/piece_trie.h"

namespace nativo::text {

/// An entry of "added_tokens" of a tokenizer.json.
struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool special = false;      ///< a control token: nothing in decode()
  bool single_word = false;  ///< not inside a word
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< and behind it
  bool normalized = true;    ///< searched in the normalised text
};

/// Where control tokens may be recognised in a text.
struct SpecialTokens {
  bool parse = false;  ///< false: nowhere, they are letters
  /// With `parse`: ascending byte ranges [begin, end) that no control token may touch, the contents
  /// of messages in a rendered conversation.
  std::span<const ByteRange> literal = {};
};

/// Finds one set of added tokens. Thread-safe after construction.
class AddedTokenFinder {
 public:
  /// `tokens` with what each is spelled in the text to search; unique and not empty.
  explicit AddedTokenFinder(std::vector<std::pair<std::string, AddedToken>> tokens);

  struct Part {
    std::size_t begin = 0;
    std::size_t end = 0;
    TokenId id = -1;  ///< -1: text between tokens
  };
  /// Cuts `text` (well-formed UTF-8) from left to right, the longest token first. Text parts are
  /// not empty. `literal` of `special` are ranges of the original, of which `base` lies where
  /// text's own original begins.
  [[nodiscard]] std::vector<Part> split(const AlignedText& text, std::size_t base,
                                        const SpecialTokens& special) const;

 private:
  std::vector<std::pair<std::string, AddedToken>> tokens_;
  PieceTrie trie_;  ///< to indices of tokens_
  bool first_bytes_[256] = {};
};

}  // namespace nativo::text
