// The shape of a decoder of a known family, as Hugging Face's config.json writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/rope_scaling.h"

namespace nativo::model {

/// All are the same decoder with small differences:
///   mistral  sliding window in every layer
///   llama    optional biases in attention and MLP; no window
///   qwen2    bias in q, k, v; optional window in the upper layers (Qwen 2 and 2.5)
///   qwen3    q and k normalised per head before RoPE; optional bias in attention; window as qwen2
enum class Family { kMistral, kLlama, kQwen2, kQwen3 };

/// The family as `model_type` in config.json writes it: "mistral", "llama", "qwen2", "qwen3".
[[nodiscard]] std::string_view family_name(Family family);

/// Hyperparameters of a decoder: RMSNorm, RoPE, grouped-query attention with an optional sliding
/// window, SwiGLU. Letters in other headers: L = layers, C = hidden_size, F = intermediate_size,
/// H = heads, K = kv_heads, D = head_dim (H D need not be C), V = vocab_size.
struct DecoderConfig {
  Family family = Family::kMistral;
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
  /// The window holds in layers first_window_layer .. L-1; those below see the whole document.
  std::int64_t first_window_layer = 0;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling = {};
  double rms_norm_eps = 1e-5;
  bool tie_embeddings = false;
  bool attention_bias = false;             ///< llama, qwen3: q, k, v and o have biases
  bool mlp_bias = false;                   ///< llama: gate, up and down have biases
  std::int32_t bos_id = 1;                 ///< -1 = none
  std::int32_t eos_id = 2;                 ///< -1 = none
  std::vector<std::int32_t> more_eos_ids = {};  ///< further ids that end a text

  [[nodiscard]] bool has_qkv_bias() const { return attention_bias || family == Family::kQwen2; }
  [[nodiscard]] bool has_qk_norm() const { return family == Family::kQwen3; }
  [[nodiscard]] std::int64_t q_width() const { return heads * head_dim; }
  [[nodiscard]] std::int64_t kv_width() const { return kv_heads * head_dim; }
  [[nodiscard]] std::int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  /// Whether `layer` has the sliding window.
  [[nodiscard]] bool has_window(std::int64_t layer) const {
    return sliding_window && layer >= first_window_layer;
  }

  /// Number of parameters: 2VC (VC when tied) + L(C(H+2K)D + HDC + 3CF + 2C) + C, and the family's
  /// biases and norms.
  [[nodiscard]] std::int64_t parameter_count() const;

  bool operator==(const DecoderConfig&) const = default;
};

/// Reads a config.json of one of the families, as transformers 4 (rope_theta, rope_scaling with
/// "type" or "rope_type") or 5 (rope_parameters) writes it; what is absent takes transformers'
/// default for the family. Every size is range-checked (positive, heads a multiple of kv_heads,
/// products that fit); what we cannot compute is refused, never ignored. Throws Error(kData) naming
/// `where` and the key.
[[nodiscard]] DecoderConfig config_from_json(const Json& json, std::string_view where);

/// The config.json that transformers reads for the family; `torch_dtype` is a HF dtype name.
[[nodiscard]] Json config_to_json(const DecoderConfig& config, std::string_view torch_dtype);

/// A preset by name: "tiny" (2-5 M parameters with a 4k vocabulary: 192 wide, 6 layers, 6 heads, 2
/// key/value heads, sliding window 256). Throws Error(kConfig) on an unknown name.
[[nodiscard]] DecoderConfig preset(std::string_view name, std::int64_t vocab_size);

}  // namespace nativo::model
