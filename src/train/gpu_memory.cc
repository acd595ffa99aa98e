#include "train/gpu_memory.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "dist/grid.h"
#include "model/gpu_layer_shards.h"
#include "model/memory_plan.h"
#include "train/gradient_sums.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

/// What views of so many numbers each take in one arena.
std::size_t arena_bytes(const std::vector<std::int64_t>& counts, tensor::DType type) {
  tensor::ArenaPlan plan;
  for (const std::int64_t count : counts) {
    type == tensor::DType::kBf16 ? plan.add<tensor::bf16>("", {count})
                                 : plan.add<float>("", {count});
  }
  return tensor::Arena::capacity_for(plan.bytes());
}

/// The buckets of a full training's gradients: embedding, layers, final norm and head.
struct Buckets {
  std::int64_t layer = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;

  [[nodiscard]] std::int64_t largest() const { return std::max({layer, first, last}); }
};

Buckets buckets_of(const model::DecoderConfig& config) {
  const model::LayerNumbers numbers = model::layer_numbers(config);
  const std::int64_t embedding = config.vocab_size * config.hidden_size;
  return {numbers.layer, embedding, numbers.others - embedding};
}

/// See GradientSums.
std::size_t passing_bytes(const model::DecoderConfig& config, const Buckets& buckets,
                          const model::Numbers& numbers, std::int64_t largest, std::int64_t data,
                          bool lends, const std::string& gradient_type) {
  std::size_t bytes = 0;
  if (lends) {
    const std::int64_t own = (buckets.layer + data - 1) / data * config.layers;
    bytes += arena_bytes({buckets.first, buckets.last, buckets.layer, buckets.layer}, numbers.type);
    bytes += arena_bytes({own}, numbers.type);
  }
  const GradientCrossing crossing = gradient_crossing_from_option(gradient_type);
  const tensor::DType type =
      crossing == GradientCrossing::kBf16 ? tensor::DType::kBf16 : tensor::DType::kF32;
  if (crossing != GradientCrossing::kOwn && type != numbers.type) {
    bytes += arena_bytes({largest, largest}, type);
  }
  return bytes;
}

}  // namespace

GpuMemory gpu_memory(const model::DecoderConfig& whole, const TrainOptions& options,
                     const LoraTableOptions& lora, const RankCount& ranks) {
  dist::require_grid(ranks.ranks, ranks.tensor);
  const model::DecoderConfig config = model::tensor_part(whole, ranks.tensor);
  const std::int64_t data = std::max<std::int64_t>(1, ranks.ranks / ranks.tensor);
  const bool is_full = options.method == "full";
  const model::Quantization quantization =
      is_full ? model::Quantization() : quantization_of(options.method, lora);
  std::optional<model::LoraConfig> adapters;
  if (!is_full) adapters = model::resolve_lora(lora.lora, whole);
  const model::LoraConfig* of = adapters ? &*adapters : nullptr;
  const model::Numbers numbers = numbers_of(options);
  model::TrainingShape shape = training_shape(options);
  if (data > 1) shape.gradients = model::GradientMemory::kApart;

  GpuMemory memory;
  memory.decoder = model::memory_plan(config, quantization, of, shape, numbers).memory;
  const Buckets buckets = buckets_of(config);
  if (ranks.zero >= 3 && data > 1 && !quantization.format) {
    const std::int64_t own = (buckets.layer + data - 1) / data * config.layers;
    memory.decoder.parameters = model::gpu_shard_bytes(config, own, numbers);
  }
  const std::int64_t trained =
      of != nullptr ? lora_parameter_count(*of, config) : config.parameter_count();
  if (data > 1) {
    const bool lends = ranks.zero >= 2 && is_full;
    if (lends) memory.decoder.gradients = 0;
    const std::int64_t largest =
        is_full ? buckets.largest() : (trained + config.layers - 1) / config.layers;
    memory.passing =
        passing_bytes(config, buckets, numbers, largest, data, lends, ranks.gradient_type);
  }
  memory.nccl = kNcclBytes * ((data > 1 ? 1U : 0U) + (ranks.tensor > 1 ? 1U : 0U));
  const StateType state = state_type_from_option(options.optimizer_state);
  const std::int64_t updated = ranks.zero >= 1 ? (trained + data - 1) / data : trained;
  const std::size_t moments = tensor::Arena::capacity_for(state_bytes(state, updated));
  const bool offloads = offload_of(options).optimizer;
  memory.optimizer_state = offloads ? offload_bytes(state) : moments;
  memory.pinned = memory.decoder.host + (offloads ? moments : 0);
  const std::int64_t own = (trained + data - 1) / data;  // what a rank writes of a checkpoint
  memory.snapshot = static_cast<std::size_t>(own) * sizeof(float) + state_bytes(state, own);
  if (ranks.neighbour && ranks.ranks > 1) {  // the last copy stays while the next is taken
    const bool has_neighbour = ranks.per_node > 0 && ranks.per_node < ranks.ranks;
    memory.neighbour = (1 + 2 * (has_neighbour ? 2U : 1U)) * memory.snapshot;
  }
  return memory;
}

}  // namespace nativo::train
