// What a search needs of logits without keeping them: the best few and the sum that normalises
// them, a block of the vocabulary at a time. Rule: blocks are scanned one by one and merged in
// ascending order, so that the result does not depend on who scanned which.
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

/// The best logits of one row, or of a block of it.
struct BestLogits {
  std::vector<Candidate> best;  ///< descending; of equals the lower id first
  float most = -std::numeric_limits<float>::infinity();
  float sum = 0.0F;  ///< of e^(logit - most); 0 when not asked for
};

/// Scans `logits`, which belong to the ids from `first` on: the best `count` of those above minus
/// infinity (a NaN is never chosen), and the sum if `with_sum`. Overwrites `out`.
void scan_logits(std::span<const float> logits, std::int32_t first, std::size_t count,
                 bool with_sum, BestLogits& out);

/// Joins `next`, a block of higher ids, to `row`, keeping the best `count`.
void merge_logits(const BestLogits& next, std::size_t count, BestLogits& row);

}  // namespace nativo::ops
