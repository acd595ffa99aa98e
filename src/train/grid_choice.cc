#include "train/grid_choice.h"

#include <fmt/format.h>

#include "ops/adamw.h"
#include "ops/quantize.h"
#include "train/memory_choice.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

/// Whether the model can be cut in so many parts among ranks of one node.
bool can_cut(const model::DecoderConfig& config, const TrainOptions& options,
             const LoraTableOptions& lora, std::int64_t parts, std::int64_t per_node,
             std::int64_t ranks) {
  if (per_node % parts != 0 || ranks % parts != 0) return false;
  if (config.heads % parts != 0 || config.kv_heads % parts != 0 ||
      config.intermediate_size % parts != 0) {
    return false;
  }
  // Columns in whole blocks: of moments, and of quantised weights.
  const std::int64_t narrow = config.q_width() / parts;
  const std::int64_t wide = config.intermediate_size / parts;
  const auto whole = [&](std::int64_t block) { return narrow % block == 0 && wide % block == 0; };
  if (options.method == "full") {
    return state_type_from_option(options.optimizer_state) != StateType::kInt8 ||
           (whole(ops::kMomentBlock) && !config.has_qkv_bias() && !config.mlp_bias);
  }
  return !quantization_of(options.method, lora).format ||
         (whole(ops::kQuantBlock) && !lora.double_quant);
}

}  // namespace

GridChoice choose_grid(const model::DecoderConfig& config, const TrainOptions& options,
                       const LoraTableOptions& lora, std::size_t available,
                       const RankCount& ranks) {
  const std::int64_t per_node = ranks.per_node == 0 ? ranks.ranks : ranks.per_node;
  GridChoice least;
  for (std::int64_t tensor = 1; tensor <= per_node; tensor *= 2) {
    if (tensor > 1 && !can_cut(config, options, lora, tensor, per_node, ranks.ranks)) continue;
    for (std::int64_t zero = 1; zero <= 3; ++zero) {
      RankCount tried = ranks;
      tried.zero = zero;
      tried.tensor = tensor;
      const std::size_t peak = rank_bytes(config, options, lora, tried);
      if (least.peak == 0 || peak < least.peak) least = {zero, tensor, peak, peak <= available};
      if (peak <= available) return {zero, tensor, peak, true};
    }
  }
  return least;
}

std::string settings_of(const GridChoice& choice) {
  return fmt::format("dist.zero={} dist.tensor={}", choice.zero, choice.tensor);
}

}  // namespace nativo::train
