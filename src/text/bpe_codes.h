// Words to subwords with the codes of subword-nmt (Sennrich et al., arXiv:1508.07909): the merges
// in the order in which they were learned, "@@" at every piece but a word's last. Not here: the BPE
// of tokenizer.json (text/bpe_model.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nativo::text {

/// Immutable; thread-safe.
class BpeCodes {
 public:
  /// `content` is the codes file: an optional first line "#version: 0.1" or "0.2", then a line of
  /// two symbols a merge. Throws Error(kData) naming `where` and the line when it is anything else.
  BpeCodes(std::string_view content, std::string_view where);

  /// Appends the pieces of `word` (valid UTF-8, not empty, no space in it): without their "@@" they
  /// are the word. Time n log n.
  void encode(std::string_view word, std::vector<std::string>& pieces) const;

  [[nodiscard]] std::size_t size() const {
    return merges_.size();
  }  ///< merges, doubles not counted

  static constexpr std::string_view kJoint = "@@";  ///< at the end of a piece that is not the last

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t symbol;  ///< what the two become
  };

  [[nodiscard]] std::int32_t id(std::string_view symbol) const;
  std::int32_t intern(std::string symbol);
  [[nodiscard]] const Merge* find(std::int32_t left, std::int32_t right) const;

  bool end_is_a_symbol_ = true;  ///< version 0.1: "</w>" is a letter, not part of the last one
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace nativo::text
