// Lays parameters and activations out in memory.
#include "model/decoder_state.h"

#include <algorithm>

#include "base/error.h"
#include "ops/attention.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"

namespace nativo::model {

ModelTensors model_tensors(const DecoderConfig& config, const Quantization& quantization,
                           float* memory) {
  float* next = memory;
  const auto take = [&next](const tensor::Shape& shape) {
    const tensor::View<float> view(next, shape);
    next += shape.elements();
    return view;
  };
  const auto take_linear = [&](std::int64_t outputs, std::int64_t inputs, bool bias) {
    LinearGradient linear;
    if (!quantization.format) linear.weight = take({outputs, inputs});
    if (bias) linear.bias = take({outputs});
    return linear;
  };
  const std::int64_t width = config.hidden_size;
  ModelTensors model;
  model.embedding = take({config.vocab_size, width});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    LayerTensors tensors;
    tensors.input_norm = take({width});
    tensors.qkv = take_linear(config.qkv_width(), width, config.has_qkv_bias());
    if (config.has_qk_norm()) {
      tensors.q_norm = take({config.head_dim});
      tensors.k_norm = take({config.head_dim});
    }
    tensors.output = take_linear(width, config.q_width(), config.attention_bias);
    tensors.post_norm = take({width});
    tensors.gate_up = take_linear(2 * config.intermediate_size, width, config.mlp_bias);
    tensors.down = take_linear(width, config.intermediate_size, config.mlp_bias);
    model.layers.push_back(tensors);
  }
  model.final_norm = take({width});
  model.head = config.tie_embeddings ? model.embedding : take({config.vocab_size, width});
  const std::int64_t quantized = quantized_parameter_count(config, quantization);
  NATIVO_CHECK(next - memory == config.parameter_count() - quantized, "parameters do not add up");
  return model;
}

ModelWeights model_weights(const ModelTensors& tensors) {
  ModelWeights weights{tensors.embedding, {}, tensors.final_norm, tensors.head};
  const auto dense = [](const LinearGradient& of) {
    Linear linear;
    linear.weight = of.weight;
    linear.bias = of.bias;
    return linear;
  };
  for (const LayerTensors& layer : tensors.layers) {
    weights.layers.push_back({layer.input_norm, dense(layer.qkv), layer.q_norm, layer.k_norm,
                              dense(layer.output), layer.post_norm, dense(layer.gate_up),
                              dense(layer.down)});
  }
  return weights;
}

std::int64_t logits_chunk(const DecoderConfig& config, std::int64_t rows) {
  constexpr std::int64_t kLogits = std::int64_t{4} << 20;
  return std::min(rows, std::max<std::int64_t>(64, kLogits / config.vocab_size));
}

Workspace make_workspace(const DecoderConfig& config, const LinearScratch& scratch,
                         std::int64_t rows, std::int64_t length, Pass pass, tensor::Arena& arena) {
  using tensor::Shape;
  const std::int64_t tokens = rows * length;
  const std::int64_t width = config.hidden_size;
  const std::int64_t qkv_width = config.qkv_width();
  const std::int64_t attention_width = config.q_width();
  const std::int64_t normed_heads = config.heads + config.kv_heads;
  const bool training = pass == Pass::kTraining;
  tensor::ArenaPlan plan;
  // Each entry pairs a view to fill with its slot; views exist once the arena is reserved.
  std::vector<std::pair<tensor::View<float>*, tensor::ArenaPlan::Slot>> slots;
  Workspace work;
  work.layers.resize(static_cast<std::size_t>(config.layers));
  const auto add = [&](const char* purpose, tensor::View<float>& view, const Shape& shape) {
    slots.emplace_back(&view, plan.add<float>(purpose, shape));
  };
  const std::size_t kept = training ? work.layers.size() : 1;
  for (std::size_t layer = 0; layer < kept; ++layer) {
    LayerActivations& kept_layer = work.layers[layer];
    add("activations", kept_layer.input, {tokens, width});
    add("activations", kept_layer.rstd1, {tokens});
    if (config.has_qk_norm()) {
      add("activations", kept_layer.qk, {tokens, normed_heads * config.head_dim});
      add("activations", kept_layer.qk_rstd, {tokens, normed_heads});
    }
    add("activations", kept_layer.qkv, {tokens, qkv_width});
    add("activations", kept_layer.attention, {tokens, attention_width});
    add("activations", kept_layer.lse, {tokens, config.heads});
    add("activations", kept_layer.middle, {tokens, width});
    add("activations", kept_layer.rstd2, {tokens});
    add("activations", kept_layer.gate_up, {tokens, 2 * config.intermediate_size});
  }
  if (training) add("activations", work.output, {tokens, width});
  add("scratch", work.normed, {tokens, width});
  add("scratch", work.delta, {tokens, width});
  add("scratch", work.act, {tokens, config.intermediate_size});
  add("scratch", work.attention_scratch,
      {ops::attention_workspace({rows, length, config.heads, config.kv_heads, config.head_dim})});
  add("scratch", work.gathered, {tokens, width});
  add("scratch", work.gathered_norm, {tokens, width});
  add("scratch", work.gathered_rstd, {tokens});
  add("logits", work.logits, {logits_chunk(config, tokens), config.vocab_size});
  add("scratch", work.linear.panel, {scratch.panel});
  add("scratch", work.linear.hidden, {scratch.hidden});
  if (training) {
    add("scratch", work.linear.dropped, {scratch.dropped});
    add("scratch", work.dx, {tokens, width});
    add("scratch", work.dattention, {tokens, attention_width});
    add("scratch", work.dqkv, {tokens, qkv_width});
    add("scratch", work.dgathered, {tokens, width});
    add("scratch", work.norm_partial, {ops::rmsnorm_partial_rows(tokens), width});
    if (config.has_qk_norm()) {
      add("scratch", work.head_norm_partial, {ops::rmsnorm_partial_rows(tokens), config.head_dim});
    }
  }
  arena.reserve(plan,
                training ? "the activations of a training batch" : "the activations of a batch");
  for (const auto& [view, slot] : slots) *view = arena.view<float>(slot);
  if (!training) {
    // A layer's output replaces its input.
    std::fill(work.layers.begin() + 1, work.layers.end(), work.layers.front());
    work.output = work.layers.front().input;
  }
  return work;
}

void RopeTable::grow(const DecoderConfig& config, std::int64_t count) {
  if (count <= positions) return;
  const std::int64_t half = config.head_dim / 2;
  cosine.resize(static_cast<std::size_t>(count * half));
  sine.resize(cosine.size());
  positions = count;
  ops::rope_table(rope_frequencies(config.rope_scaling, config.rope_theta, config.head_dim),
                  config.rope_scaling.attention_factor,
                  tensor::View<float>(cosine.data(), {count, half}),
                  tensor::View<float>(sine.data(), {count, half}));
}

tensor::View<const float> RopeTable::cosine_view() const {
  return {cosine.data(), {positions, static_cast<std::int64_t>(cosine.size()) / positions}};
}

tensor::View<const float> RopeTable::sine_view() const {
  return {sine.data(), {positions, static_cast<std::int64_t>(sine.size()) / positions}};
}

}  // namespace nativo::model
