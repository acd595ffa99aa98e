// One layer, step by step. See the header.
#include "model/decoder_block.h"

#include "dist/communicator.h"
#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace nativo::model {
namespace {

template <class T>
ops::AttentionShape attention_shape(const BlockContext<T>& context) {
  const DecoderConfig& config = context.config;
  return {context.rows, context.length, config.heads, config.kv_heads, config.head_dim};
}

ops::HeadRange q_heads(const DecoderConfig& config) { return {0, config.heads}; }
ops::HeadRange k_heads(const DecoderConfig& config) { return {config.heads, config.kv_heads}; }

/// What the norms of these heads need of the scratch that is planned for the most of them.
template <class T>
tensor::View<float> head_partial(const LayerScratch<T>& scratch, const ops::HeadRange& heads) {
  const std::int64_t tokens = scratch.dqkv.size(0);
  return scratch.head_norm_partial.rows(
      0, ops::rmsnorm_heads_partial_rows(tokens, heads.count, scratch.dqkv.device()));
}

template <class T>
void rotate(const BlockContext<T>& context, tensor::View<T> qkv, ops::Rotation rotation) {
  ops::rope(qkv, context.config.heads + context.config.kv_heads, context.positions,
            context.rope.cosine, context.rope.sine, rotation);
}

template <class T>
void attend(const BlockContext<T>& context, const LayerActivations<T>& layer) {
  ops::attention_forward(attention_shape(context), layer.qkv, context.first_key, layer.attention,
                         layer.lse, layer.attention_scratch);
}

/// x, what this rank's part of a layer gives, becomes what the whole layer gives.
template <class T>
void sum_parts(const BlockContext<T>& context, tensor::View<T> x) {
  if (context.tensor_ranks != nullptr) context.tensor_ranks->all_reduce(x);
}

template <class T>
void mlp_backward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                  const LayerTensors<T>& gradients, const LayerMemory<T>& memory, Recompute rung,
                  tensor::View<T> dx) {
  const LayerActivations<T>& kept = memory.backward;
  const LayerScratch<T>& scratch = memory.scratch;
  linear_backward_input(weights.down, context.linear, dx, scratch.dact);
  ops::swiglu_backward(kept.gate_up, scratch.dact);
  const bool again = rung >= Recompute::kActivation;  // dact is act again by now
  linear_backward_weight(weights.down, context.linear, dx, again ? scratch.dact : kept.act,
                         gradients.down);
  if (rung >= Recompute::kNorms) {
    ops::rmsnorm_apply(kept.middle, weights.post_norm, kept.rstd2, kept.normed2);
  }
  linear_backward_weight(weights.gate_up, context.linear, kept.gate_up, kept.normed2,
                         gradients.gate_up);
  linear_backward_input(weights.gate_up, context.linear, kept.gate_up, scratch.dnormed2);
  sum_parts(context, scratch.dnormed2);
  ops::rmsnorm_backward(scratch.dnormed2, kept.middle, weights.post_norm, kept.rstd2, dx,
                        gradients.post_norm, scratch.norm_partial2);
}

}  // namespace

template <class T>
void attention_inputs(const BlockContext<T>& context, const LayerWeights<T>& weights,
                      const LayerActivations<T>& layer) {
  const DecoderConfig& config = context.config;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  ops::rmsnorm_forward(layer.input, weights.input_norm, eps, layer.normed1, layer.rstd1);
  linear_forward(weights.qkv, context.linear, layer.normed1, layer.qkv);
  if (config.has_qk_norm()) {
    ops::copy_columns(layer.qkv, layer.qk);
    ops::rmsnorm_heads_forward(layer.qk, q_heads(config), weights.q_norm, eps, layer.qkv,
                               layer.qk_rstd);
    ops::rmsnorm_heads_forward(layer.qk, k_heads(config), weights.k_norm, eps, layer.qkv,
                               layer.qk_rstd);
  }
  rotate(context, layer.qkv, ops::Rotation::kForward);
}

template <class T>
void attention_output(const BlockContext<T>& context, const LayerWeights<T>& weights,
                      const LayerActivations<T>& layer) {
  linear_forward(weights.output, context.linear, layer.attention, layer.middle);
  sum_parts(context, layer.middle);
}

template <class T>
void mlp_forward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                 const LayerActivations<T>& layer, tensor::View<T> output) {
  ops::add_rmsnorm_forward(layer.input, layer.middle, weights.post_norm,
                           static_cast<float>(context.config.rms_norm_eps), layer.middle,
                           layer.normed2, layer.rstd2);
  linear_forward(weights.gate_up, context.linear, layer.normed2, layer.gate_up);
  ops::swiglu_forward(layer.gate_up, layer.act);
  linear_forward(weights.down, context.linear, layer.act, output);
  sum_parts(context, output);
  ops::add(layer.middle, output, output);
}

template <class T>
void block_forward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                   const LayerActivations<T>& layer, tensor::View<T> output) {
  attention_inputs(context, weights, layer);
  attend(context, layer);
  attention_output(context, weights, layer);
  mlp_forward(context, weights, layer, output);
}

template <class T>
void block_again(const BlockContext<T>& context, const LayerWeights<T>& weights,
                 const LayerMemory<T>& memory, Recompute rung) {
  const LayerActivations<T>& kept = memory.backward;
  if (rung >= Recompute::kAttention) {
    LayerActivations<T> again = kept;
    again.normed1 = memory.scratch.normed1_again;
    attention_inputs(context, weights, again);
    attend(context, again);
  }
  if (rung >= Recompute::kBlock) {
    attention_output(context, weights, kept);
    ops::add(kept.input, kept.middle, kept.middle);
  }
  if (rung >= Recompute::kFeedForward) {
    ops::rmsnorm_apply(kept.middle, weights.post_norm, kept.rstd2, memory.scratch.normed2_again);
    linear_forward(weights.gate_up, context.linear, memory.scratch.normed2_again, kept.gate_up);
  }
}

template <class T>
void block_backward(const BlockContext<T>& context, const LayerWeights<T>& weights,
                    const LayerTensors<T>& gradients, const LayerMemory<T>& memory,
                    const BackwardOptions& options, tensor::View<T> dx) {
  const DecoderConfig& config = context.config;
  const LayerActivations<T>& kept = memory.backward;
  const LayerScratch<T>& scratch = memory.scratch;
  mlp_backward(context, weights, gradients, memory, options.recompute, dx);
  linear_backward_input(weights.output, context.linear, dx, scratch.dattention);
  linear_backward_weight(weights.output, context.linear, dx, kept.attention, gradients.output);
  ops::attention_backward(attention_shape(context), kept.qkv, context.first_key, kept.attention,
                          scratch.dattention, kept.lse, scratch.dqkv, scratch.attention_scratch);
  rotate(context, scratch.dqkv, ops::Rotation::kBackward);
  if (config.has_qk_norm()) {
    ops::rmsnorm_heads_backward(scratch.dqkv, kept.qk, q_heads(config), weights.q_norm,
                                kept.qk_rstd, gradients.q_norm,
                                head_partial(scratch, q_heads(config)));
    ops::rmsnorm_heads_backward(scratch.dqkv, kept.qk, k_heads(config), weights.k_norm,
                                kept.qk_rstd, gradients.k_norm,
                                head_partial(scratch, k_heads(config)));
  }
  if (options.recompute >= Recompute::kNorms) {
    ops::rmsnorm_apply(kept.input, weights.input_norm, kept.rstd1, kept.normed1);
  }
  linear_backward_weight(weights.qkv, context.linear, scratch.dqkv, kept.normed1, gradients.qkv);
  if (!options.input_gradient) return;
  linear_backward_input(weights.qkv, context.linear, scratch.dqkv, scratch.dnormed1);
  sum_parts(context, scratch.dnormed1);
  ops::rmsnorm_backward(scratch.dnormed1, kept.input, weights.input_norm, kept.rstd1, dx,
                        gradients.input_norm, scratch.norm_partial1);
}

template void attention_inputs(const BlockContext<float>&, const LayerWeights<float>&,
                               const LayerActivations<float>&);
template void attention_output(const BlockContext<float>&, const LayerWeights<float>&,
                               const LayerActivations<float>&);
template void mlp_forward(const BlockContext<float>&, const LayerWeights<float>&,
                          const LayerActivations<float>&, tensor::View<float>);
template void block_forward(const BlockContext<float>&, const LayerWeights<float>&,
                            const LayerActivations<float>&, tensor::View<float>);
template void block_again(const BlockContext<float>&, const LayerWeights<float>&,
                          const LayerMemory<float>&, Recompute);
template void block_backward(const BlockContext<float>&, const LayerWeights<float>&,
                             const LayerTensors<float>&, const LayerMemory<float>&,
                             const BackwardOptions&, tensor::View<float>);

template void attention_inputs(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                               const LayerActivations<tensor::bf16>&);
template void attention_output(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                               const LayerActivations<tensor::bf16>&);
template void mlp_forward(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                          const LayerActivations<tensor::bf16>&, tensor::View<tensor::bf16>);
template void block_forward(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                            const LayerActivations<tensor::bf16>&, tensor::View<tensor::bf16>);
template void block_again(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                          const LayerMemory<tensor::bf16>&, Recompute);
template void block_backward(const BlockContext<tensor::bf16>&, const LayerWeights<tensor::bf16>&,
                             const LayerTensors<tensor::bf16>&, const LayerMemory<tensor::bf16>&,
                             const BackwardOptions&, tensor::View<tensor::bf16>);

}  // namespace nativo::model
