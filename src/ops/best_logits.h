// What a search needs of logits without keeping them: the best few and the sum that normalises
// them, a block of the vocabulary at a time. Rule: what a block adds to the sum depends on that
// block alone and blocks are summed in ascending order; the best are exact: neither depends on who
// scanned which block.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace nativo::ops {

struct Candidate {
  float logit = 0.0F;
  std::int32_t id = 0;
};

/// The best logits of one row and what normalises all.
struct BestLogits {
  std::vector<Candidate> best;  ///< descending; of equals the lower id first
  float most = -std::numeric_limits<float>::infinity();
  float sum = 0.0F;  ///< of e^(logit - most); 0 when not asked for
};

/// The largest logit of a block and its sum of e^(logit - most), if asked for.
struct LogitBlock {
  float most = -std::numeric_limits<float>::infinity();
  float sum = 0.0F;
};

/// Scans `logits`, which belong to the ids from `first` on, all higher than those in `best`: leaves
/// in `best` the best `count` of both, of logits above minus infinity (a NaN is never chosen).
/// Returns the block's part of the sum if `with_sum`.
[[nodiscard]] LogitBlock scan_logits(std::span<const float> logits, std::int32_t first,
                                     std::size_t count, bool with_sum,
                                     std::vector<Candidate>& best);

/// Joins `next`, the best of higher ids, to `best`, keeping `count`.
void merge_candidates(const std::vector<Candidate>& next, std::size_t count,
                      std::vector<Candidate>& best);

/// The largest and the sum of all blocks, which come in ascending order.
[[nodiscard]] LogitBlock sum_blocks(std::span<const LogitBlock> blocks);

}  // namespace nativo::ops
