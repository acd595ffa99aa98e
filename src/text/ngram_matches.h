// How many n-grams two sequences of symbols have in common, counted exactly: two n-grams are the
// same when their symbols are, never because their hashes are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nativo::text {

/// The n-grams of one sequence, n = 1..order, ready to be looked up.
class NgramCounts {
 public:
  /// At most 2^32 / order symbols.
  NgramCounts(std::span<const std::uint32_t> sequence, std::size_t order);

  /// Clipped matches: result[n-1] is the sum over the distinct n-grams of min(how often here, the
  /// most often in any one of `others`) (Papineni et al., BLEU, ACL 2002).
  [[nodiscard]] std::vector<std::uint64_t> matches(
      std::span<const std::vector<std::uint32_t>> others) const;

 private:
  struct Slot {
    std::uint64_t key = 0;  ///< number of the n-gram without its last symbol, and that symbol
    std::uint32_t ngram = 0;
  };
  [[nodiscard]] std::size_t find(std::uint64_t key) const;
  std::uint32_t insert(std::uint64_t key);
  void grow();

  std::size_t order_;
  std::vector<Slot> slots_;           ///< open addressing, a power of two; ngram 0 = free
  std::vector<std::uint32_t> count_;  ///< by n-gram, from 1; n-grams of one length are neighbours
  std::vector<std::uint32_t> first_;  ///< first_[n-1]: the first n-gram of length n
};

}  // namespace nativo::text
