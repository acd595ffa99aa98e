// What a Decoder owns: parameters in one block of memory, gradients in another of the same layout
// or in the pass's own. Not here: the memory of a pass (model/decoder_memory.h). Not for other
// folders. Rule: q, k, v (and gate, up) lie behind each other, so that one product computes them
// all.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "model/decoder.h"
#include "model/decoder_batch.h"
#include "model/linear.h"
#include "model/lora.h"
#include "model/offloaded_inputs.h"
#include "tensor/arena.h"
#include "tensor/view.h"

namespace nativo::model {

/// The gradients of one layer's weights, as products fill them; null where a weight is frozen and
/// where the family has none.
template <class T>
struct LayerTensors {
  tensor::View<T> input_norm;  ///< [C]
  LinearGradient<T> qkv;       ///< [(H+2K)D, C]
  tensor::View<T> q_norm;      ///< [D]
  tensor::View<T> k_norm;      ///< [D]
  LinearGradient<T> output;    ///< [C, HD]
  tensor::View<T> post_norm;   ///< [C]
  LinearGradient<T> gate_up;   ///< [2F, C]
  LinearGradient<T> down;      ///< [C, F]
};

/// The same of the whole model.
template <class T>
struct ModelTensors {
  tensor::View<T> embedding;  ///< [V, C]
  std::vector<LayerTensors<T>> layers;
  tensor::View<T> final_norm;  ///< [C]
  tensor::View<T> head;        ///< [V, C]; the embedding itself when tied
};

/// One layer's weights: norms as numbers, the rest as layers that compute.
template <class T>
struct LayerWeights {
  tensor::View<T> input_norm;  ///< [C]
  Linear<T> qkv;               ///< [(H+2K)D, C]
  tensor::View<T> q_norm;      ///< [D]; null when the family has none
  tensor::View<T> k_norm;      ///< [D]
  Linear<T> output;            ///< [C, HD]
  tensor::View<T> post_norm;   ///< [C]
  Linear<T> gate_up;           ///< [2F, C]
  Linear<T> down;              ///< [C, F]
};

template <class T>
struct ModelWeights {
  tensor::View<T> embedding;  ///< [V, C]
  std::vector<LayerWeights<T>> layers;
  tensor::View<T> final_norm;  ///< [C]
  tensor::View<T> head;        ///< [V, C]; the embedding itself when tied
};

/// Calls take(view, shape, layer) for each tensor of `model`, in the order of
/// Decoder::parameters(): layer -1 for the embedding, L for the final norm and the head; a tied
/// head is the caller's to set. Quantised weights are not visited.
template <class T, class Take>
void visit_tensors(const DecoderConfig& config, const Quantization& quantization,
                   ModelTensors<T>& model, const Take& take) {
  const std::int64_t width = config.hidden_size;
  model.layers.resize(static_cast<std::size_t>(config.layers));
  take(model.embedding, tensor::Shape{config.vocab_size, width}, std::int64_t{-1});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    LayerTensors<T>& tensors = model.layers[static_cast<std::size_t>(layer)];
    const auto take_linear = [&](LinearGradient<T>& linear, std::int64_t outputs,
                                 std::int64_t inputs, bool bias) {
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

/// Views into `memory`, which holds parameter_count() numbers in the order of
/// Decoder::parameters(), less those that are quantised: their views are null.
template <class T>
[[nodiscard]] ModelTensors<T> model_tensors(const DecoderConfig& config,
                                            const Quantization& quantization,
                                            tensor::View<T> memory);
/// The same as weights.
template <class T>
[[nodiscard]] ModelWeights<T> model_weights(const ModelTensors<T>& tensors);

/// Scratch of the linear layers, in numbers.
struct LinearScratch {
  std::int64_t panel = 0;    ///< one dequantised panel
  std::int64_t hidden = 0;   ///< behind an adapter's A
  std::int64_t dropped = 0;  ///< an adapter's input behind its mask; in training only
  ops::Fp8ScratchSize fp8 = {};
};

template <class T>
struct TypedCore;
/// Makes `gradients` (of all parameters; without layers: none) those of the decoder and of its
/// list of parameters.
template <class T>
void bind_gradients(TypedCore<T>& core, const ModelTensors<T>& gradients);
/// The gradients of one layer's parameters (see visit_tensors) lie in `memory`, one behind the
/// other; the list of parameters does not show them.
template <class T>
void bind_layer_gradients(TypedCore<T>& core, std::int64_t layer, const tensor::View<T>& memory);

/// cos and sin by position [P, D/2], where the pass runs.
struct RopeTables {
  tensor::View<const float> cosine;
  tensor::View<const float> sine;
};

/// cos and sin by position.
struct RopeTable {
  /// Makes room for positions 0..count-1.
  void grow(const DecoderConfig& config, std::int64_t count, const tensor::Device& device);
  [[nodiscard]] const RopeTables& tables() const { return tables_; }

 private:
  std::int64_t positions_ = 0;
  std::vector<float> cosine_;  ///< on the host
  std::vector<float> sine_;
  tensor::Arena memory_;  ///< on a GPU
  RopeTables tables_;
};

class LayerShards;

/// All that a decoder is but what has its numbers' type.
struct DecoderCore {
  DecoderCore();
  ~DecoderCore();

  DecoderConfig config;  ///< of what is here: tensor_part() of the whole
  DecoderConfig whole;
  DecoderRanks ranks;
  Numbers numbers;
  tensor::Arena parameter_memory;
  std::unique_ptr<LayerShards> shards;  ///< null where all layers are whole
  tensor::Arena own_gradients;          ///< where they do not share the pass's memory
  QuantizedState quantized;
  std::optional<LoraState> lora;
  GradientMemory gradient_memory = GradientMemory::kApart;
  bool has_gradients = false;
  bool gradients_are_zero = false;  ///< or count as zero, where they share the pass's memory
  std::vector<Parameter> list;
  tensor::Arena pass_memory;
  std::unique_ptr<OffloadedInputs> offloaded_inputs;  ///< null until a pass offloads any
  BatchTables tables;
  RopeTable rope;
};

/// All of it; helpers take it, as Decoder::State is private.
template <class T>
struct TypedCore : DecoderCore {
  ModelWeights<T> parameters;
  ModelTensors<T> gradients;  ///< without layers until enable_gradients(); null views with LoRA
};

struct Decoder::State {
  std::variant<TypedCore<float>, TypedCore<tensor::bf16>> typed;

  [[nodiscard]] DecoderCore& core() {
    return std::visit([](DecoderCore& decoder) -> DecoderCore& { return decoder; }, typed);
  }
};

/// Reserves zeroed memory for `plan`; with `in_common` in memory that their node has once.
void reserve_in_common(tensor::Arena& arena, const tensor::ArenaPlan& plan, const std::string& what,
                       dist::Communicator* in_common);

/// Whether this rank writes item `index` of what its node has in common.
[[nodiscard]] bool is_ours(const DecoderCore& core, std::size_t index);

/// values = parameter `index`, which is not quantised; collective where its layer is in parts.
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
