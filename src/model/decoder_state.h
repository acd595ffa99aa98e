// What a Decoder owns: parameters in one block of memory, gradients in another of the same layout,
// and the activations of the batch at hand. Not for other folders. Rule: q, k, v (and gate, up) lie
// behind each other, so that one product computes them all.
#pragma once

#include <cstdint>
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

/// Views into `memory`, which holds parameter_count() floats in the order of Decoder::parameters(),
/// less those that are quantised: their views are null.
[[nodiscard]] ModelTensors model_tensors(const DecoderConfig& config,
                                         const Quantization& quantization, float* memory);
/// The same as weights.
[[nodiscard]] ModelWeights model_weights(const ModelTensors& tensors);

/// What the backward pass needs of one layer; the rest is computed again.
struct LayerActivations {
  tensor::View<float> input;      ///< [N,C]
  tensor::View<float> rstd1;      ///< [N]
  tensor::View<float> qk;         ///< [N,(H+K)D], before their norms; null without these
  tensor::View<float> qk_rstd;    ///< [N,H+K]
  tensor::View<float> qkv;        ///< [N,(H+2K)D], after RoPE
  tensor::View<float> attention;  ///< [N,HD]
  tensor::View<float> lse;        ///< [N,H]
  tensor::View<float> middle;     ///< [N,C], after attention
  tensor::View<float> rstd2;      ///< [N]
  tensor::View<float> gate_up;    ///< [N,2F]
};

/// Scratch of the linear layers, in floats.
struct LinearScratch {
  std::int64_t panel = 0;    ///< one dequantised panel
  std::int64_t hidden = 0;   ///< behind an adapter's A
  std::int64_t dropped = 0;  ///< an adapter's input behind its mask; in training only
};

enum class Pass { kForward, kTraining };

/// All memory of one pass over N = B*T tokens, from one arena.
struct Workspace {
  std::vector<LayerActivations> layers;  ///< all the same memory in a forward pass
  tensor::View<float> output;            ///< [N,C], of the last layer
  tensor::View<float> normed;            ///< [N,C]
  tensor::View<float> delta;             ///< [N,C]
  tensor::View<float> act;               ///< [N,F]
  tensor::View<float> attention_scratch;
  tensor::View<float> gathered;       ///< [N,C], rows with a target
  tensor::View<float> gathered_norm;  ///< [N,C]
  tensor::View<float> gathered_rstd;  ///< [N]
  tensor::View<float> logits;         ///< [chunk,V]
  LinearContext linear;               ///< its scratch; dropout is the pass's
  // Training only.
  tensor::View<float> dx;          ///< [N,C]
  tensor::View<float> dattention;  ///< [N,HD]
  tensor::View<float> dqkv;        ///< [N,(H+2K)D]
  tensor::View<float> dgathered;   ///< [N,C]
  tensor::View<float> norm_partial;
  tensor::View<float> head_norm_partial;
};

/// Rows of logits held at a time: some 16 MiB of them, at least 64 and at most `rows`.
[[nodiscard]] std::int64_t logits_chunk(const DecoderConfig& config, std::int64_t rows);

/// Reserves and lays out a workspace; reuses the arena's memory when it is large enough.
[[nodiscard]] Workspace make_workspace(const DecoderConfig& config, const LinearScratch& scratch,
                                       std::int64_t rows, std::int64_t length, Pass pass,
                                       tensor::Arena& arena);

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

/// All that a decoder is; helpers take it, as Decoder::State is private.
struct DecoderCore {
  DecoderConfig config;
  tensor::Arena parameter_memory;
  tensor::Arena gradient_memory;
  ModelWeights parameters;
  QuantizedState quantized;
  std::optional<LoraState> lora;
  ModelTensors gradients;  ///< without layers until enable_gradients(); null views with LoRA
  std::vector<Parameter> list;
  tensor::Arena activation_memory;
  RopeTable rope;
};

struct Decoder::State : DecoderCore {};

}  // namespace nativo::model
