// The unigram language model of Kudo (2018) as Hugging Face tokenizers applies it: the
// segmentation of the highest sum of log-probabilities (Viterbi).
#pragma once

#include <memory>
#include <vector>

#include "text/piece_trie.h"
#include "text/subword_model.h"

namespace nativo::text {

/// "model" of a tokenizer.json with type Unigram.
struct UnigramSpec {
  PieceTable pieces;           ///< without gaps
  std::vector<double> scores;  ///< log-probability by id
  TokenId unknown = -1;        ///< unk_id
  bool byte_fallback = false;
  std::vector<bool> special = {};  ///< by id: never made from text
};

/// encode() takes O(n) times the length of the longest piece. Neighbouring unknowns become one.
class UnigramModel final : public SubwordModel {
 public:
  /// Throws Error(kData) without an unknown piece, or for a score that is not finite.
  explicit UnigramModel(UnigramSpec spec);

  void encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const override;
  [[nodiscard]] const PieceTable& pieces() const override { return spec_.pieces; }
  [[nodiscard]] TokenId unknown_id() const override { return spec_.unknown; }
  [[nodiscard]] bool is_letter(TokenId) const override { return false; }

 private:
  void push_unknown(std::string_view surface, std::size_t base, Subwords& out) const;

  UnigramSpec spec_;
  std::unique_ptr<PieceTrie> trie_;
  double unknown_score_ = 0.0;
  std::vector<TokenId> fallback_;
};

}  // namespace nativo::text
