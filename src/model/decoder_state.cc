// Lays parameters out in memory; the table of RoPE.
#include "model/decoder_state.h"

#include "base/error.h"
#include "dist/communicator.h"
#include "model/layer_shards.h"
#include "ops/rope.h"

namespace nativo::model {

template <class T>
ModelTensors<T> model_tensors(const DecoderConfig& config, const Quantization& quantization,
                              tensor::View<T> memory) {
  std::int64_t next = 0;
  ModelTensors<T> model;
  visit_tensors(config, quantization, model,
                [&](tensor::View<T>& view, const tensor::Shape& shape, std::int64_t) {
                  view = {memory.data() + next, shape, memory.device()};
                  next += shape.elements();
                });
  if (config.tie_embeddings) model.head = model.embedding;
  const std::int64_t quantized = quantized_parameter_count(config, quantization);
  NATIVO_CHECK(next == config.parameter_count() - quantized, "parameters do not add up");
  return model;
}

template <class T>
ModelWeights<T> model_weights(const ModelTensors<T>& tensors) {
  ModelWeights<T> weights{tensors.embedding, {}, tensors.final_norm, tensors.head};
  const auto dense = [](const LinearGradient<T>& of) {
    Linear<T> linear;
    linear.weight = of.weight;
    linear.bias = of.bias;
    return linear;
  };
  for (const LayerTensors<T>& layer : tensors.layers) {
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
  tensor::read(core.list[index].stored, values);
}

bool is_ours(const DecoderCore& core, std::size_t index) {
  if (core.ranks.weights == nullptr) return true;
  const dist::Place& place = core.ranks.weights->place();
  return static_cast<int>(index % static_cast<std::size_t>(place.node_size)) == place.node_rank;
}

void meet(const DecoderCore& core) {
  if (core.ranks.weights != nullptr) core.ranks.weights->barrier();
}

template <class T>
void bind_gradients(TypedCore<T>& core, const ModelTensors<T>& gradients) {
  core.gradients = gradients;
  core.gradients.layers.resize(core.parameters.layers.size());
  auto parameter = core.list.begin();
  // A tensor holds the parameters that follow each other in the list until it is full.
  visit_tensors(
      core.config, {}, core.gradients,
      [&](tensor::View<T>& view, const tensor::Shape& shape, std::int64_t) {
        const bool bound = view.data() != nullptr;
        std::int64_t done = 0;
        for (; done < shape.elements(); ++parameter) {
          const auto size = static_cast<std::int64_t>(parameter->elements());
          parameter->set_gradient(bound ? tensor::View<T>(view.data() + done, {size}, view.device())
                                        : tensor::View<T>());
          done += size;
        }
        NATIVO_CHECK(done == shape.elements(), "parameters fill their tensors");
      });
}

template <class T>
void bind_layer_gradients(TypedCore<T>& core, std::int64_t layer, const tensor::View<T>& memory) {
  std::int64_t next = 0;
  visit_tensors(core.config, {}, core.gradients,
                [&](tensor::View<T>& view, const tensor::Shape& shape, std::int64_t at) {
                  if (at != layer) return;
                  view = {memory.data() + next, shape, memory.device()};
                  next += shape.elements();
                });
  NATIVO_CHECK(next == memory.elements(), "as much memory as the layer's gradients take");
  if (layer < 0 && core.config.tie_embeddings) core.gradients.head = core.gradients.embedding;
}

void RopeTable::grow(const DecoderConfig& config, std::int64_t count,
                     const tensor::Device& device) {
  if (count <= positions_) return;
  const std::int64_t half = config.head_dim / 2;
  cosine_.resize(static_cast<std::size_t>(count * half));
  sine_.resize(cosine_.size());
  positions_ = count;
  const tensor::Shape shape{count, half};
  const tensor::View<float> cosine(cosine_.data(), shape);
  const tensor::View<float> sine(sine_.data(), shape);
  ops::rope_table(rope_frequencies(config.rope_scaling, config.rope_theta, config.head_dim),
                  config.rope_scaling.attention_factor, cosine, sine);
  tables_ = {cosine, sine};
  if (!device.is_cuda()) return;
  tensor::synchronize(device);  // the old table may still be read
  tensor::ArenaPlan plan;
  const auto cosine_slot = plan.add<float>("rope", shape);
  const auto sine_slot = plan.add<float>("rope", shape);
  if (memory_.device() != device) memory_ = tensor::Arena(device);
  memory_.reserve(plan, "the table of positions");
  const tensor::View<float> there_cosine = memory_.view<float>(cosine_slot);
  const tensor::View<float> there_sine = memory_.view<float>(sine_slot);
  tensor::copy(cosine, there_cosine);
  tensor::copy(sine, there_sine);
  tables_ = {there_cosine, there_sine};
}

template ModelTensors<float> model_tensors(const DecoderConfig&, const Quantization&,
                                           tensor::View<float>);
template ModelWeights<float> model_weights(const ModelTensors<float>&);
template void bind_gradients(TypedCore<float>&, const ModelTensors<float>&);
template void bind_layer_gradients(TypedCore<float>&, std::int64_t, const tensor::View<float>&);

template ModelTensors<tensor::bf16> model_tensors(const DecoderConfig&, const Quantization&,
                                                  tensor::View<tensor::bf16>);
template ModelWeights<tensor::bf16> model_weights(const ModelTensors<tensor::bf16>&);
template void bind_gradients(TypedCore<tensor::bf16>&, const ModelTensors<tensor::bf16>&);
template void bind_layer_gradients(TypedCore<tensor::bf16>&, std::int64_t,
                                   const tensor::View<tensor::bf16>&);

}  // namespace nativo::model
