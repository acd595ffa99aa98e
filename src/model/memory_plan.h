// How much memory a decoder will reserve, before anything is. Not here: optimizer state (train/),
// what the libraries and the program itself take. Rule: the same code sizes the arenas, so that
// Decoder::memory() equals the plan to the byte.
#pragma once

#include <vector>

#include "model/decoder.h"
#include "tensor/arena.h"

namespace nativo::model {

/// A training pass over a batch of `rows` rows of `length` tokens.
struct TrainingShape {
  std::int64_t rows = 0;    ///< B, >= 1
  std::int64_t length = 0;  ///< T, >= 1
  Recompute recompute = Recompute::kNorms;
  GradientMemory gradients = GradientMemory::kApart;  ///< kApart is taken with adapters
  bool offload_inputs = false;                        ///< see StepOptions
};

struct MemoryPlan {
  DecoderMemory memory;  ///< what Decoder::memory() will be after a batch of this shape
  /// Of memory.pass, at the moment of the pass's first and second half when most is needed:
  /// "activations", "scratch", "logits" and, where they share this memory, "gradients". What is
  /// missing to memory.pass is free at that moment.
  std::vector<tensor::ArenaPlan::Purpose> forward;
  std::vector<tensor::ArenaPlan::Purpose> backward;
};

/// Allocates no tensors; `lora` may be null.
[[nodiscard]] MemoryPlan memory_plan(const DecoderConfig& config, const Quantization& quantization,
                                     const LoraConfig* lora, const TrainingShape& shape,
                                     const Numbers& numbers = {});

/// Numbers of a decoder of `config`: of one layer, and of all that is in none.
struct LayerNumbers {
  std::int64_t layer = 0;
  std::int64_t others = 0;
};
[[nodiscard]] LayerNumbers layer_numbers(DecoderConfig config);

/// Bytes of memory for so many numbers that several ranks have in common.
[[nodiscard]] std::size_t layer_place_bytes(std::int64_t numbers);
/// Bytes of the parameters of a rank of `ranks` where every node has parts of the layers: its part
/// of them, and its share of what `neighbours` have in common (see model/layer_shards.h).
[[nodiscard]] std::size_t cut_weight_bytes(const DecoderConfig& config, std::int64_t ranks,
                                           std::int64_t neighbours);

}  // namespace nativo::model
