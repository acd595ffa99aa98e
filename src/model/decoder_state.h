// What a Decoder owns: parameters in one block of memory, gradients in another of the same layout
// or in the pass's own. Not here: the memory of a pass (model/decoder_memory.h). Not for other
// folders. Rule: q, k, v (and gate, up) lie behind each other, so that one product computes them
// all.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/decoder.h"
#include "model/linear.h"
#include "model/lora.h"
#include "tensor/arena.h"
#include "tensor/view.h"

namespace nativo::model {

/// The gradients of one layer's weights, as products fill them; null where a weight is frozen and
/// where the family has none.
struct LayerTensors {
  tensor::View<float> input_norm;  ///< [C]
  LinearGradient qkv;              ///< [(H+2K)D, C]
  tensor::View<float> q_norm;      ///< [D]
  tensor::View<float> k_norm;      ///< [D]
  LinearGradient output;           ///< [C, HD]
  tensor::View<float> post_norm;   ///< [C]
  LinearGradient gate_up;          ///< [2F, C]
  LinearGradient down;             ///< [C, F]
};

/// The same of the whole model.
struct ModelTensors {
  tensor::View<float> embedding;  ///< [V, C]
  std::vector<LayerTensors> layers;
  tensor::View<float> final_norm;  ///< [C]
  tensor::View<float> head;        ///< [V, C]; the embedding itself when tied
};

/// One layer's weights: norms as numbers, the rest as layers that compute.
struct LayerWeights {
  tensor::View<float> input_norm;  ///< [C]
  Linear qkv;                      ///< [(H+2K)D, C]
  tensor::View<float> q_norm;      ///< [D]; null when the family has none
  tensor::View<float> k_norm;      ///< [D]
  Linear output;                   ///< [C, HD]
  tensor::View<float> post_norm;   ///< [C]
  Linear gate_up;                  ///< [2F, C]
  Linear down;                     ///< [C, F]
};

struct ModelWeights {
  tensor::View<float> embedding;  ///< [V, C]
  std::vector<LayerWeights> layers;
  tensor::View<float> final_norm;  ///< [C]
  tensor::View<float> head;        ///< [V, C]; the embedding itself when tied
};

/// Calls take(view, shape, layer) for each tensor of `model`, in the order of
/// Decoder::parameters(): layer -1 for the embedding, L for the final norm and the head; a tied
/// head is the caller's to set. Quantised weights are not visited.
template <class Take>
void visit_tensors(const DecoderConfig& config, const Quantization& quantization,
                   ModelTensors& model, const Take& take) {
  const std::int64_t width = config.hidden_size;
  model.layers.resize(static_cast<std::size_t>(config.layers));
  take(model.embedding, tensor::Shape{config.vocab_size, width}, std::int64_t{-1});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    LayerTensors& tensors = model.layers[static_cast<std::size_t>(layer)];
    const auto take_linear = [&](LinearGradient& linear, std::int64_t outputs, std::int64_t inputs,
                                 bool bias) {
      if (!quantization.format) take(linear.weight, tensor::Shape{outputs, inputs}, layer);
      if (bias) take(linear.bias, tensor::Shape{outputs}, layer);
    };
    take(tensors.input_norm, tensor::Shape{width}, layer);
    take_linear(tensors.qkv, config.qkv_width(), width, config.has_qkv_bias());
    if (config.has_qk_norm()) {
      take(tensors.q_norm, tensor::Shape{config.head_dim}, layer);
      take(tensors.k_norm, tensor::Shape{config.head_dim}, layer);
    }
    take_linear(tensors.output, width, config.q_width(), config.attention_bias);
    take(tensors.post_norm, tensor::Shape{width}, layer);
    take_linear(tensors.gate_up, 2 * config.intermediate_size, width, config.mlp_bias);
    take_linear(tensors.down, width, config.intermediate_size, config.mlp_bias);
  }
  take(model.final_norm, tensor::Shape{width}, config.layers);
  if (!config.tie_embeddings) {
    take(model.head, tensor::Shape{config.vocab_size, width}, config.layers);
  }
}

/// Views into `memory`, which holds parameter_count() floats in the order of Decoder::parameters(),
/// less those that are quantised: their views are null.
[[nodiscard]] ModelTensors model_tensors(const DecoderConfig& config,
                                         const Quantization& quantization, float* memory);
/// The same as weights.
[[nodiscard]] ModelWeights model_weights(const ModelTensors& tensors);

/// Scratch of the linear layers, in floats.
struct LinearScratch {
  std::int64_t panel = 0;    ///< one dequantised panel
  std::int64_t hidden = 0;   ///< behind an adapter's A
  std::int64_t dropped = 0;  ///< an adapter's input behind its mask; in training only
};

struct DecoderCore;
/// Makes `gradients` (of all parameters; without layers: none) those of the decoder and of its
/// list of parameters.
void bind_gradients(DecoderCore& core, const ModelTensors& gradients);
/// The gradients of one layer's parameters (see visit_tensors) lie in `memory`, one behind the
/// other; the list of parameters does not show them.
void bind_layer_gradients(DecoderCore& core, std::int64_t layer, std::span<float> memory);

/// cos and sin by position.
struct RopeTable {
  std::int64_t positions = 0;
  std::vector<float> cosine;  ///< [P, D/2]
  std::vector<float> sine;

  /// Makes room for positions 0..count-1.
  void grow(const DecoderConfig& config, std::int64_t count);
  [[nodiscard]] tensor::View<const float> cosine_view() const;
  [[nodiscard]] tensor::View<const float> sine_view() const;
};

class LayerShards;

/// All that a decoder is; helpers take it, as Decoder::State is private.
struct DecoderCore {
  DecoderCore();
  ~DecoderCore();

  DecoderConfig config;  ///< of what is here: tensor_part() of the whole
  DecoderConfig whole;
  DecoderRanks ranks;
  tensor::Arena parameter_memory;
  std::unique_ptr<LayerShards> shards;  ///< null where all layers are whole
  tensor::Arena own_gradients;          ///< where they do not share the pass's memory
  ModelWeights parameters;
  QuantizedState quantized;
  std::optional<LoraState> lora;
  ModelTensors gradients;  ///< without layers until enable_gradients(); null views with LoRA
  GradientMemory gradient_memory = GradientMemory::kApart;
  bool gradients_are_zero = false;  ///< or count as zero, where they share the pass's memory
  std::vector<Parameter> list;
  tensor::Arena pass_memory;
  RopeTable rope;
};

struct Decoder::State : DecoderCore {};

/// Reserves zeroed memory for `plan`; with `in_common` in memory that their node has once.
void reserve_in_common(tensor::Arena& arena, const tensor::ArenaPlan& plan, const std::string& what,
                       dist::Communicator* in_common);

/// Whether this rank writes item `index` of what its node has in common.
[[nodiscard]] bool is_ours(const DecoderCore& core, std::size_t index);

/// values = parameter `index`, which is in f32; collective where its layer is in parts.
void read_parameter(const DecoderCore& core, std::size_t index, std::span<float> values);

/// Returns when all ranks have written what they have in common.
void meet(const DecoderCore& core);

/// Draws the whole tensor in its order and keeps `part` of it.
template <class Draw>
void draw(const TensorPart& part, std::span<float> values, const Draw& next) {
  std::size_t drawn = 0;
  for_runs(part, 0, values.size(), [&](std::size_t here, std::size_t there, std::size_t length) {
    for (; drawn < there; ++drawn) static_cast<void>(next());
    for (std::size_t i = 0; i < length; ++i, ++drawn) values[here + i] = next();
  });
}

}  // namespace nativo::model
