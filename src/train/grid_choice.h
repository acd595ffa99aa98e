// What dist.grid = "auto" chooses: how a training is shared out among ranks so that it fits into
// their memory. Rule: nothing is cut that need not be.
#pragma once

#include <cstddef>
#include <string>

#include "model/decoder_config.h"
#include "train/options.h"
#include "train/training_memory.h"

namespace nativo::train {

struct GridChoice {
  std::int64_t zero = 1;
  std::int64_t tensor = 1;
  std::size_t peak = 0;  ///< of one rank
  bool fits = false;
};

/// For `ranks.ranks` ranks, `ranks.per_node` of them a node, that may hold `available` bytes each.
/// In this order, and the first that fits: ZeRO stage 1, 2, 3 (which on a node costs next to
/// nothing, and nothing of the result), then tensor parallelism among 2, 4, ... ranks of a node,
/// which costs four sums of activations a layer, with each of the stages. When nothing fits, what
/// needs least.
[[nodiscard]] GridChoice choose_grid(const model::DecoderConfig& config,
                                     const TrainOptions& options, const LoraTableOptions& lora,
                                     std::size_t available, const RankCount& ranks);

/// "dist.zero=3 dist.tensor=2".
[[nodiscard]] std::string settings_of(const GridChoice& choice);

}  // namespace nativo::train
