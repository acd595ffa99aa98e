// Lays parameters out in memory; the table of RoPE.
#include "model/decoder_state.h"

#include <algorithm>

#include "base/error.h"
#include "dist/communicator.h"
#include "model/layer_shards.h"
#include "ops/rope.h"

namespace nativo::model {

ModelTensors model_tensors(const DecoderConfig& config, const Quantization& quantization,
                           float* memory) {
  float* next = memory;
  ModelTensors model;
  visit_tensors(config, quantization, model,
                [&](tensor::View<float>& view, const tensor::Shape& shape, std::int64_t) {
                  view = {next, shape};
                  next += shape.elements();
                });
  if (config.tie_embeddings) model.head = model.embedding;
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

void reserve_in_common(tensor::Arena& arena, const tensor::ArenaPlan& plan, const std::string& what,
                       dist::Communicator* in_common) {
  if (in_common != nullptr && plan.bytes() > 0) {
    arena.adopt(in_common->allocate_shared(plan.bytes(), what));  // zeroed
    return;
  }
  arena.reserve(plan, what);
  arena.zero();
}

DecoderCore::DecoderCore() = default;
DecoderCore::~DecoderCore() = default;

void read_parameter(const DecoderCore& core, std::size_t index, std::span<float> values) {
  if (core.shards) return core.shards->read(index, values);
  std::ranges::copy(core.list[index].value, values.begin());
}

bool is_ours(const DecoderCore& core, std::size_t index) {
  if (core.ranks.weights == nullptr) return true;
  const dist::Place& place = core.ranks.weights->place();
  return static_cast<int>(index % static_cast<std::size_t>(place.node_size)) == place.node_rank;
}

void meet(const DecoderCore& core) {
  if (core.ranks.weights != nullptr) core.ranks.weights->barrier();
}

void bind_gradients(DecoderCore& core, const ModelTensors& gradients) {
  core.gradients = gradients;
  core.gradients.layers.resize(core.parameters.layers.size());
  auto parameter = core.list.begin();
  // A tensor holds the parameters that follow each other in the list until it is full.
  visit_tensors(core.config, {}, core.gradients,
                [&](tensor::View<float>& view, const tensor::Shape& shape, std::int64_t) {
                  const bool bound = view.data() != nullptr;
                  std::int64_t done = 0;
                  for (; done < shape.elements(); ++parameter) {
                    const std::size_t size = parameter->value.size();
                    parameter->gradient =
                        bound ? std::span<float>(view.data() + done, size) : std::span<float>();
                    done += static_cast<std::int64_t>(size);
                  }
                  NATIVO_CHECK(done == shape.elements(), "parameters fill their tensors");
                });
}

void bind_layer_gradients(DecoderCore& core, std::int64_t layer, std::span<float> memory) {
  std::size_t next = 0;
  visit_tensors(core.config, {}, core.gradients,
                [&](tensor::View<float>& view, const tensor::Shape& shape, std::int64_t at) {
                  if (at != layer) return;
                  const auto size = static_cast<std::size_t>(shape.elements());
                  view = {memory.subspan(next, size), shape};
                  next += size;
                });
  NATIVO_CHECK(next == memory.size(), "as much memory as the layer's gradients take");
  if (layer < 0 && core.config.tie_embeddings) core.gradients.head = core.gradients.embedding;
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
