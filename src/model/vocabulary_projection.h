// From hidden rows to the few best tokens of each, without ever holding all logits.
// Not here: which of them a search takes (generate/beam_search.h). Rule: the vocabulary is cut into
// blocks of one size, which are summed in their order: the result depends on that row alone.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/inference_linear.h"
#include "ops/best_logits.h"

namespace nativo::model {

using ops::BestLogits;
using ops::Candidate;

/// Changes the logits of `row`, which belong to the outputs from `first` on, before they are
/// compared. Called from any thread, once for each block.
using EditLogits =
    std::function<void(std::size_t row, std::int32_t first, std::span<float> logits)>;

/// Buffers of one thread's calls.
struct VocabularyScratch {
  InferenceScratch linear;
  std::vector<ops::LogitBlock> sums;                     ///< [rows, blocks]
  std::vector<std::vector<ops::Candidate>> best_ranges;  ///< [ranges of blocks, rows]
};

/// best[N] (overwritten) = the best `count` outputs of each row of x[N,D], and the sum that
/// normalises all if `with_sum`; see ops/best_logits.h.
void best_outputs(const InferenceLinear& projection, tensor::View<const float> x, std::size_t count,
                  bool with_sum, const EditLogits& edit, VocabularyScratch& scratch,
                  std::span<BestLogits> best);

}  // namespace nativo::model
