// WordPiece (Wu et al. 2016; BERT): the longest piece that the word begins with, then the longest
// continuation ("##..."), and so on; a word that cannot be built so is unknown as a whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/piece_trie.h"
#include "text/subword_model.h"

namespace nativo::text {

/// "model" of a tokenizer.json with type WordPiece.
struct WordPieceSpec {
  PieceTable pieces;
  std::string unknown;              ///< unk_token
  std::string subword_prefix;       ///< continuing_subword_prefix
  std::uint64_t max_letters = 100;  ///< max_input_chars_per_word; longer words are unknown
  std::vector<bool> special = {};   ///< by id: never made from text
};

class WordPieceModel final : public SubwordModel {
 public:
  /// Throws Error(kData) when unk_token is no piece.
  explicit WordPieceModel(WordPieceSpec spec);

  void encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const override;
  [[nodiscard]] const PieceTable& pieces() const override { return spec_.pieces; }
  [[nodiscard]] TokenId unknown_id() const override { return unknown_; }
  [[nodiscard]] bool is_letter(TokenId) const override { return false; }

 private:
  WordPieceSpec spec_;
  TokenId unknown_ = -1;
  std::unique_ptr<PieceTrie> beginnings_;
  std::unique_ptr<PieceTrie> continuations_;
};

}  // namespace nativo::text
