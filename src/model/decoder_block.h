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
template <class T>
struct BlockContext {
  const DecoderConfig& config;
  std::int64_t rows = 0;                         ///< B
  std::int64_t length = 0;                       ///< T
  std::span<const std::int32_t> positions = {};  ///< [N], on the device
  RopeTables rope;
  LinearContext<T> linear;
  /// What the layer at hand sees, on the device; see visible().
  std::span<const std::int32_t> first_key = {};
  /// Tensor parallelism: have the rest of every layer; see model/decoder_ranks.h. Null = nobody.
  dist::Communicator* tensor_ranks = nullptr;
};

/// norm(input) W_qkv, q and k normalised where the family does so, rotated: fills normed1, rstd1,
/// qk, qk_rstd and qkv from input.
template <class T>
void attention_inputs(const BlockContext<T>& context, const LayerWeights<T>& weights,
                      const LayerActivations<T>& layer);

/// middle = attention W_o.
template <class T>
void attention_output(const BlockContext<T>& context, const LayerWeights<T>& weights,
                      const LayerActivations<T>& layer);

/// middle += input, then output = middle + mlp(norm(middle)), filling normed2, rstd2, gate_up and
/// act. `output` may be input, not middle.
template <class T>
void mlp_forward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                 const LayerActivations<T>& layer, tensor::View<T> output);

/// layer.input -> output, filling `layer`.
template <class T>
void block_forward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                   const LayerActivations<T>& layer, tensor::View<T> output);

/// Computes what `rung` did not keep, into memory.backward; before block_backward.
template <class T>
void block_again(const BlockContext<T>& context, const LayerWeights<T>& weights,
                 const LayerMemory<T>& memory, Recompute rung);

/// What block_backward does beside the weights' gradients.
struct BackwardOptions {
  Recompute recompute = Recompute::kNorms;  ///< as the memory was planned for
  bool input_gradient = true;               ///< false: nothing below the layer is trained
};

/// dx, the gradient of the layer's output, becomes that of its input (or means nothing without
/// input_gradient); gradients accumulate. memory.backward is overwritten.
template <class T>
void block_backward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                    const LayerTensors<T>& gradients, const LayerMemory<T>& memory,
                    const BackwardOptions& options, tensor::View<T> dx);

}  // namespace nativo::model
