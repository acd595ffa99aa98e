// The heart of a Hugging Face tokenizer: a piece of normalised, pre-tokenised text to token ids.
// Three kinds: BPE (text/bpe_model.h), Unigram (text/unigram_model.h), WordPiece
// (text/word_piece_model.h). Not here: what is done to the text before (text/hf_tokenizer.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece_table.h"

namespace nativo::text {

/// Memory that one encode() after another reuses.
struct SubwordScratch {
  struct Symbol {
    TokenId id = -1;
    std::int32_t previous = -1;
    std::int32_t next = -1;
    std::uint32_t end = 0;  ///< byte of the piece where it ends
  };
  struct Best {
    double score = 0.0;
    std::int64_t start = -1;  ///< of the piece that ends here; -1 = nothing ends here
    TokenId id = -1;
  };
  std::vector<Symbol> symbols;
  std::vector<std::uint32_t> ranks;
  std::vector<std::uint64_t> queue;
  std::vector<Best> best;
  std::string text;
};

/// What pieces became: ids, and where in its piece each one ends (and the next one begins).
struct Subwords {
  std::vector<TokenId> ids;
  std::vector<std::uint32_t> ends;

  void add(TokenId id, std::size_t end) {
    ids.push_back(id);
    ends.push_back(static_cast<std::uint32_t>(end));
  }
  void resize(std::size_t count) {
    ids.resize(count);
    ends.resize(count);
  }
};

/// Thread-safe after construction; one scratch a thread.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;

  /// Appends what `piece` (well-formed UTF-8, not empty) becomes.
  virtual void encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const = 0;
  /// All pieces by their spelling in the file.
  [[nodiscard]] virtual const PieceTable& pieces() const = 0;
  /// What stands for characters that the vocabulary lacks, or -1.
  [[nodiscard]] virtual TokenId unknown_id() const = 0;
  /// True for pieces that text is made of before anything is merged: letters or bytes.
  [[nodiscard]] virtual bool is_letter(TokenId id) const = 0;
};

/// The ids of the 256 pieces "<0x00>" to "<0xFF>"; -1 where there is none.
[[nodiscard]] std::vector<TokenId> byte_pieces(const PieceTable& pieces);

}  // namespace nativo::text
