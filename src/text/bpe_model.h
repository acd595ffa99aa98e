// Byte-pair encoding (Sennrich et al. 2016) as Hugging Face tokenizers applies it: of all
// neighbours that have a merge, the one learned first is merged first, the leftmost of equals.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/subword_model.h"

namespace nativo::text {

/// "model" of a tokenizer.json with type BPE.
struct BpeSpec {
  PieceTable pieces;
  std::vector<std::pair<std::string, std::string>> merges;  ///< the first learned first
  std::string unknown;             ///< unk_token; "" = characters without a piece are dropped
  std::string subword_prefix;      ///< continuing_subword_prefix
  std::string word_suffix;         ///< end_of_word_suffix
  bool fuse_unknown = false;       ///< fuse_unk
  bool byte_fallback = false;      ///< characters without a piece become <0xXX>
  bool ignore_merges = false;      ///< a whole piece of the vocabulary is taken as it is
  bool byte_level = false;         ///< pieces are spelled in the byte alphabet, encode() gets bytes
  std::vector<bool> special = {};  ///< by id: never made from text, but for letters
};

/// encode() takes O(n log n) of the piece's length.
class BpeModel final : public SubwordModel {
 public:
  /// Throws Error(kData) when a merge or unk_token names a piece that is not there.
  explicit BpeModel(BpeSpec spec);

  void encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const override;
  [[nodiscard]] const PieceTable& pieces() const override { return spec_.pieces; }
  [[nodiscard]] TokenId unknown_id() const override { return unknown_; }
  [[nodiscard]] bool is_letter(TokenId id) const override;

 private:
  struct Merge {
    std::uint64_t pair = kNoPair;
    std::uint32_t rank = kNoRank;
    TokenId merged = -1;
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};
  static constexpr std::uint32_t kNoRank = ~std::uint32_t{0};

  [[nodiscard]] static std::uint64_t pair_of(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t merge_slot(std::uint64_t pair) const;
  [[nodiscard]] const Merge& merge_of(TokenId left, TokenId right) const {
    return merges_[merge_slot(pair_of(left, right))];
  }
  void read_merges();
  void find_words();
  /// `base`: where the segment begins in its piece.
  void encode_segment(std::string_view segment, std::size_t base, SubwordScratch& scratch,
                      Subwords& out) const;
  void split_letters(std::string_view segment, std::size_t base, SubwordScratch& scratch) const;
  void merge_few(SubwordScratch& scratch, Subwords& out) const;
  void merge_many(SubwordScratch& scratch, Subwords& out) const;

  BpeSpec spec_;
  TokenId unknown_ = -1;
  std::vector<Merge> merges_;         ///< open addressing, a power of two
  std::vector<TokenId> byte_ids_;     ///< byte level: the letter of each byte
  std::vector<TokenId> fallback_;     ///< byte fallback: <0x00> to <0xFF>
  std::vector<TokenId> low_letters_;  ///< pieces of one code point below 0x800, by code point
  PieceTable words_;  ///< what encode() compares a whole segment with, mapped to word_ids_
  std::vector<TokenId> word_ids_;
  bool split_before_metaspace_ = false;  ///< no merge joins "x" and "▁": "x▁" is two segments
};

}  // namespace nativo::text
