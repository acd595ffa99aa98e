// The shape of a Mistral-architecture decoder, as Hugging Face's config.json writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/json.h"

namespace nativo::model {

/// Hyperparameters of a decoder: RMSNorm, RoPE, grouped-query attention with an optional sliding
/// window, SwiGLU, no biases. Letters in other headers: L = layers, C = hidden_size, F =
/// intermediate_size, H = heads, K = kv_heads, D = head_dim, V = vocab_size.
struct DecoderConfig {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;
  /// A token sees itself and the sliding_window - 1 tokens before it; none = the whole document.
  std::optional<std::int64_t> sliding_window;
  double rope_theta = 10000.0;
  double rms_norm_eps = 1e-5;
  bool tie_embeddings = false;
  std::int32_t bos_id = 1;
  std::int32_t eos_id = 2;

  /// Number of parameters: 2VC (VC when tied) + L(C(H+2K)D + HDC + 3CF + 2C) + C.
  [[nodiscard]] std::int64_t parameter_count() const;

  bool operator==(const DecoderConfig&) const = default;
};

/// Reads a config.json whose `model_type` is "mistral". Every size is range-checked (positive, heads a
/// multiple of kv_heads, products that fit); throws Error(kData) naming `where` and the key.
[[nodiscard]] DecoderConfig config_from_json(const Json& json, std::string_view where);

/// The config.json that transformers' MistralForCausalLM reads; `torch_dtype` is a HF dtype name.
[[nodiscard]] Json config_to_json(const DecoderConfig& config, std::string_view torch_dtype);

/// A preset by name: "tiny" (2-5 M parameters with a 4k vocabulary: 192 wide, 6 layers, 6 heads, 2
/// key/value heads, sliding window 256). Throws Error(kConfig) on an unknown name.
[[nodiscard]] DecoderConfig preset(std::string_view name, std::int64_t vocab_size);

}  // namespace nativo::model
