// The parts of an EncoderDecoder. Not for other folders.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "model/inference_linear.h"
#include "ops/activation.h"

namespace nativo::model {

/// Rows by token id, in f32 or as int8 codes with a factor a row.
struct InferenceEmbedding {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::vector<float> values;
  std::vector<std::int8_t> codes;
  std::vector<float> factors;
};

/// Layer norm, or root mean square norm when there is no beta.
struct InferenceNorm {
  std::vector<float> gamma;
  std::vector<float> beta;
  float eps = 0.0F;
};

struct AttentionWeights {
  InferenceLinear input;        ///< self: Q|K|V [3D,D]; cross: Q [D,D]
  InferenceLinear keys_values;  ///< cross: K|V [2D,D]
  InferenceLinear output;       ///< [D,D]
  std::optional<InferenceNorm> norm;
  std::vector<float> relative_keys;    ///< [2 most + 1, D / H], or empty
  std::vector<float> relative_values;  ///< as above
  float scale = 0.0F;                  ///< of query-key products
};

struct FeedForwardWeights {
  InferenceLinear input;
  std::optional<InferenceLinear> gate;  ///< of gated linear units
  InferenceLinear output;
  std::optional<InferenceNorm> norm;
};

struct TransformerLayer {
  AttentionWeights self;
  std::optional<AttentionWeights> cross;  ///< the decoder's
  FeedForwardWeights feed_forward;
};

/// Encoder or decoder.
struct TransformerStack {
  std::shared_ptr<const InferenceEmbedding> embedding;
  float embedding_scale = 1.0F;
  bool start_from_zero = false;  ///< the first token's embedding is zero
  bool has_positions = true;     ///< false with relative positions
  bool stored_positions = false;
  std::vector<float> positions;  ///< [P,D]: stored ones, or the first computed ones
  std::int64_t heads = 0;
  bool pre_norm = true;
  ops::Activation activation = ops::Activation::kRelu;
  std::optional<InferenceNorm> embedding_norm;
  std::optional<InferenceNorm> final_norm;
  std::vector<TransformerLayer> layers;
};

struct EncoderDecoderWeights {
  std::int64_t width = 0;
  bool int8 = false;
  std::int64_t bytes = 0;
  TransformerStack encoder;
  TransformerStack decoder;
  std::optional<float> output_scale;  ///< of hidden rows before the projection
  InferenceLinear projection;
  std::size_t alignment_layer = 0;
  std::int64_t alignment_heads = 1;  ///< the first so many are averaged
};

/// row[D] = sinusoids of place `position` (from 0): sin and cos of (position + 1) t_j in two
/// halves, t_j = exp(-j ln 10000 / (D/2 - 1)).
void sinusoidal_position(std::int64_t position, std::int64_t width, float* row);

}  // namespace nativo::model
