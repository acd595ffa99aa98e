// One layer, step by step. See the header.
#include "model/decoder_block.h"

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace nativo::model {
namespace {

ops::AttentionShape attention_shape(const BlockContext& context) {
  const DecoderConfig& config = context.config;
  return {context.batch.rows, context.batch.length, config.heads, config.kv_heads, config.head_dim};
}

ops::HeadRange q_heads(const DecoderConfig& config) { return {0, config.heads}; }
ops::HeadRange k_heads(const DecoderConfig& config) { return {config.heads, config.kv_heads}; }

}  // namespace

void attention_inputs(const BlockContext& context, const LayerWeights& weights,
                      tensor::View<const float> input, tensor::View<float> normed,
                      const LayerActivations& into) {
  const DecoderConfig& config = context.config;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  ops::rmsnorm_forward(input, weights.input_norm, eps, normed, into.rstd1);
  linear_forward(weights.qkv, context.linear, normed, into.qkv);
  if (config.has_qk_norm()) {
    ops::copy_columns(into.qkv, into.qk);
    ops::rmsnorm_heads_forward(into.qk, q_heads(config), weights.q_norm, eps, into.qkv,
                               into.qk_rstd);
    ops::rmsnorm_heads_forward(into.qk, k_heads(config), weights.k_norm, eps, into.qkv,
                               into.qk_rstd);
  }
  ops::rope(into.qkv, config.heads + config.kv_heads, context.positions, context.rope.cosine_view(),
            context.rope.sine_view(), ops::Rotation::kForward);
}

void mlp_forward(const DecoderConfig& config, const LayerWeights& weights,
                 const LinearContext& context, tensor::View<const float> middle,
                 tensor::View<float> normed, tensor::View<float> rstd, tensor::View<float> gate_up,
                 tensor::View<float> act, tensor::View<float> delta, tensor::View<float> output) {
  ops::rmsnorm_forward(middle, weights.post_norm, static_cast<float>(config.rms_norm_eps), normed,
                       rstd);
  linear_forward(weights.gate_up, context, normed, gate_up);
  ops::swiglu_forward(gate_up, act);
  linear_forward(weights.down, context, act, delta);
  ops::add(middle, delta, output);
}

void block_forward(const BlockContext& context, const LayerWeights& weights,
                   const LayerActivations& kept, const Workspace& work,
                   tensor::View<float> output) {
  attention_inputs(context, weights, kept.input, work.normed, kept);
  ops::attention_forward(attention_shape(context), kept.qkv, context.first_key, kept.attention,
                         kept.lse, work.attention_scratch);
  linear_forward(weights.output, context.linear, kept.attention, work.delta);
  ops::add(kept.input, work.delta, kept.middle);
  mlp_forward(context.config, weights, context.linear, kept.middle, work.normed, kept.rstd2,
              kept.gate_up, work.act, work.delta, output);
}

void block_backward(const BlockContext& context, const LayerWeights& weights,
                    const LayerTensors& gradients, const LayerActivations& kept,
                    const Workspace& work) {
  const DecoderConfig& config = context.config;
  // MLP.
  linear_backward_input(weights.down, context.linear, work.dx, work.act);
  ops::swiglu_backward(kept.gate_up, work.act);
  linear_backward_weight(weights.down, context.linear, work.dx, work.act, gradients.down);
  ops::rmsnorm_apply(kept.middle, weights.post_norm, kept.rstd2, work.normed);
  linear_backward_weight(weights.gate_up, context.linear, kept.gate_up, work.normed,
                         gradients.gate_up);
  linear_backward_input(weights.gate_up, context.linear, kept.gate_up, work.delta);
  ops::rmsnorm_backward(work.delta, kept.middle, weights.post_norm, kept.rstd2, work.dx,
                        gradients.post_norm, work.norm_partial);
  // Attention.
  linear_backward_input(weights.output, context.linear, work.dx, work.dattention);
  linear_backward_weight(weights.output, context.linear, work.dx, kept.attention, gradients.output);
  ops::attention_backward(attention_shape(context), kept.qkv, context.first_key, kept.attention,
                          work.dattention, kept.lse, work.dqkv, work.attention_scratch);
  ops::rope(work.dqkv, config.heads + config.kv_heads, context.positions,
            context.rope.cosine_view(), context.rope.sine_view(), ops::Rotation::kBackward);
  if (config.has_qk_norm()) {
    ops::rmsnorm_heads_backward(work.dqkv, kept.qk, q_heads(config), weights.q_norm, kept.qk_rstd,
                                gradients.q_norm, work.head_norm_partial);
    ops::rmsnorm_heads_backward(work.dqkv, kept.qk, k_heads(config), weights.k_norm, kept.qk_rstd,
                                gradients.k_norm, work.head_norm_partial);
  }
  ops::rmsnorm_apply(kept.input, weights.input_norm, kept.rstd1, work.normed);
  linear_backward_weight(weights.qkv, context.linear, work.dqkv, work.normed, gradients.qkv);
  linear_backward_input(weights.qkv, context.linear, work.dqkv, work.delta);
  ops::rmsnorm_backward(work.delta, kept.input, weights.input_norm, kept.rstd1, work.dx,
                        gradients.input_norm, work.norm_partial);
}

}  // namespace nativo::model
