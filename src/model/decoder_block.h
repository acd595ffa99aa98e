// One layer of the decoder: x + attention(norm(x)), then + mlp(norm(.)), forward and backward.
// Not here: embedding, head, loss (model/decoder.cc). Not for other folders.
// Rule: norms' outputs and the MLP's activation are computed again in the backward pass, not kept.
#pragma once

#include <span>

#include "model/decoder_batch.h"
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
};

/// norm(input) W_qkv, q and k normalised where the family does so, rotated: fills into.qkv,
/// into.rstd1, into.qk and into.qk_rstd of N rows each; `normed` [N,C] is scratch.
void attention_inputs(const BlockContext& context, const LayerWeights& weights,
                      tensor::View<const float> input, tensor::View<float> normed,
                      const LayerActivations& into);

/// output = middle + mlp(norm(middle)).
void mlp_forward(const DecoderConfig& config, const LayerWeights& weights,
                 const LinearContext& context, tensor::View<const float> middle,
                 tensor::View<float> normed, tensor::View<float> rstd, tensor::View<float> gate_up,
                 tensor::View<float> act, tensor::View<float> delta, tensor::View<float> output);

/// kept.input -> output (which may be kept.input), filling `kept`.
void block_forward(const BlockContext& context, const LayerWeights& weights,
                   const LayerActivations& kept, const Workspace& work, tensor::View<float> output);

/// work.dx, the gradient of the layer's output, becomes that of its input; gradients accumulate.
/// kept.gate_up is overwritten.
void block_backward(const BlockContext& context, const LayerWeights& weights,
                    const LayerTensors& gradients, const LayerActivations& kept,
                    const Workspace& work);

}  // namespace nativo::model
