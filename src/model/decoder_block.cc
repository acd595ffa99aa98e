// One layer, step by step. See the header.
#include "model/decoder_block.h"

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace nativo::model {
namespace {

ops::AttentionShape attention_shape(const BlockContext& context) {
  const DecoderConfig& config = context.config;
  return {context.batch.rows, context.batch.length, config.heads, config.kv_heads, config.head_dim};
}

}  // namespace

void attention_inputs(const BlockContext& context, const LayerTensors& weights,
                      tensor::View<const float> input, tensor::View<float> normed,
                      tensor::View<float> rstd, tensor::View<float> qkv) {
  const DecoderConfig& config = context.config;
  ops::rmsnorm_forward(input, weights.input_norm, static_cast<float>(config.rms_norm_eps), normed,
                       rstd);
  ops::linear_forward(normed, weights.qkv, qkv);
  ops::rope(qkv, config.heads + config.kv_heads, context.positions, context.rope.cosine_view(),
            context.rope.sine_view(), ops::Rotation::kForward);
}

void mlp_forward(const DecoderConfig& config, const LayerTensors& weights,
                 tensor::View<const float> middle, tensor::View<float> normed,
                 tensor::View<float> rstd, tensor::View<float> gate_up, tensor::View<float> act,
                 tensor::View<float> delta, tensor::View<float> output) {
  ops::rmsnorm_forward(middle, weights.post_norm, static_cast<float>(config.rms_norm_eps), normed,
                       rstd);
  ops::linear_forward(normed, weights.gate_up, gate_up);
  ops::swiglu_forward(gate_up, act);
  ops::linear_forward(act, weights.down, delta);
  ops::add(middle, delta, output);
}

void block_forward(const BlockContext& context, const LayerTensors& weights,
                   const LayerActivations& kept, const Workspace& work,
                   tensor::View<float> output) {
  attention_inputs(context, weights, kept.input, work.normed, kept.rstd1, kept.qkv);
  ops::attention_forward(attention_shape(context), kept.qkv, context.batch.first_key,
                         kept.attention, kept.lse, work.attention_scratch);
  ops::linear_forward(kept.attention, weights.output, work.delta);
  ops::add(kept.input, work.delta, kept.middle);
  mlp_forward(context.config, weights, kept.middle, work.normed, kept.rstd2, kept.gate_up, work.act,
              work.delta, output);
}

void block_backward(const BlockContext& context, const LayerTensors& weights,
                    const LayerTensors& gradients, const LayerActivations& kept,
                    const Workspace& work) {
  const DecoderConfig& config = context.config;
  // MLP.
  ops::linear_backward_input(work.dx, weights.down, work.act, ops::Write::kOverwrite);
  ops::swiglu_backward(kept.gate_up, work.act);
  ops::linear_backward_weight(work.dx, work.act, gradients.down);
  ops::rmsnorm_apply(kept.middle, weights.post_norm, kept.rstd2, work.normed);
  ops::linear_backward_weight(kept.gate_up, work.normed, gradients.gate_up);
  ops::linear_backward_input(kept.gate_up, weights.gate_up, work.delta, ops::Write::kOverwrite);
  ops::rmsnorm_backward(work.delta, kept.middle, weights.post_norm, kept.rstd2, work.dx,
                        gradients.post_norm, work.norm_partial);
  // Attention.
  ops::linear_backward_input(work.dx, weights.output, work.dattention, ops::Write::kOverwrite);
  ops::linear_backward_weight(work.dx, kept.attention, gradients.output);
  ops::attention_backward(attention_shape(context), kept.qkv, context.batch.first_key,
                          kept.attention, work.dattention, kept.lse, work.dqkv,
                          work.attention_scratch);
  ops::rope(work.dqkv, config.heads + config.kv_heads, context.positions,
            context.rope.cosine_view(), context.rope.sine_view(), ops::Rotation::kBackward);
  ops::rmsnorm_apply(kept.input, weights.input_norm, kept.rstd1, work.normed);
  ops::linear_backward_weight(work.dqkv, work.normed, gradients.qkv);
  ops::linear_backward_input(work.dqkv, weights.qkv, work.delta, ops::Write::kOverwrite);
  ops::rmsnorm_backward(work.delta, kept.input, weights.input_norm, kept.rstd1, work.dx,
                        gradients.input_norm, work.norm_partial);
}

}  // namespace nativo::model
