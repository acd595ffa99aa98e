// One layer of the decoder: x + attention(norm(x)), then + mlp(norm(.)), forward and backward.
// Not here: embedding, head, loss (model/decoder_pass.cc). Not for other folders.
// Rule: what is kept and what is computed again decides nothing but time and memory; when each
// tensor is alive stands in model/decoder_memory.cc.
#pragma once

#include <span>

#include "model/decoder_batch.h"
#include "model/decoder_memory.h"
#include "model/decoder_state.h"

namespace nativo::model {

/// What both directions need besides weights and memory.
struct BlockContext {
  const DecoderConfig& config;
  const PreparedBatch& batch;
  std::span<const std::int32_t> positions;  ///< [N]
  const RopeTable& rope;
  LinearContext linear;
  std::span<const std::int32_t> first_key;  ///< what the layer at hand sees; see visible()
  /// Tensor parallelism: have the rest of every layer; see model/decoder_ranks.h. Null = nobody.
  dist::Communicator* tensor_ranks = nullptr;
};

/// norm(input) W_qkv, q and k normalised where the family does so, rotated: fills normed1, rstd1,
/// qk, qk_rstd and qkv from input.
void attention_inputs(const BlockContext& context, const LayerWeights& weights,
                      const LayerActivations& layer);

/// middle = input + attention W_o.
void attention_output(const BlockContext& context, const LayerWeights& weights,
                      const LayerActivations& layer);

/// output = middle + mlp(norm(middle)), filling normed2, rstd2, gate_up and act. `output` may be
/// input, not middle.
void mlp_forward(const BlockContext& context, const LayerWeights& weights,
                 const LayerActivations& layer, tensor::View<float> output);

/// layer.input -> output, filling `layer`.
void block_forward(const BlockContext& context, const LayerWeights& weights,
                   const LayerActivations& layer, tensor::View<float> output);

/// Computes what `rung` did not keep, into memory.backward; before block_backward.
void block_again(const BlockContext& context, const LayerWeights& weights,
                 const LayerMemory& memory, Recompute rung);

/// What block_backward does beside the weights' gradients.
struct BackwardOptions {
  Recompute recompute = Recompute::kNorms;  ///< as the memory was planned for
  bool input_gradient = true;               ///< false: nothing below the layer is trained
};

/// dx, the gradient of the layer's output, becomes that of its input (or means nothing without
/// input_gradient); gradients accumulate. memory.backward is overwritten.
void block_backward(const BlockContext& context, const LayerWeights& weights,
                    const LayerTensors& gradients, const LayerMemory& memory,
                    const BackwardOptions& options, tensor::View<float> dx);

}  // namespace nativo::model
