// What LoRA adapts, and how strongly; PEFT's adapter_config.json. Not here: the adapters' numbers
// (model/lora.h). Rule: an adapter that means anything we do not compute is refused, by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/decoder_config.h"

namespace nativo::model {

/// The linear layers of a block, in the order of the forward pass.
enum class Projection : std::uint8_t { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr std::size_t kProjections = 7;

/// "q_proj", ... as in Hugging Face files.
[[nodiscard]] std::string_view projection_name(Projection projection);
/// "self_attn.q_proj" or "mlp.gate_proj": the path below "model.layers.N.".
[[nodiscard]] std::string_view projection_path(Projection projection);

/// What people choose. The defaults are those of most published recipes.
struct LoraOptions {
  std::int64_t rank = 16;
  double alpha = 32.0;
  double dropout = 0.0;  ///< of the adapters' input, while training
  bool rslora = false;   ///< scale by alpha / sqrt(rank) instead of alpha / rank
  /// Projections by name; "all-linear" = all seven.
  std::vector<std::string> targets = {"all-linear"};
};

/// One adapted layer.
struct LoraModule {
  std::int64_t layer = 0;
  Projection projection = Projection::kQ;
  auto operator<=>(const LoraModule&) const = default;

  /// "model.layers.3.self_attn.q_proj".
  [[nodiscard]] std::string name() const;
};

/// The inverse of LoraModule::name(); nothing for any other text.
[[nodiscard]] std::optional<LoraModule> module_from_name(std::string_view name);

/// Options resolved for one model.
struct LoraConfig {
  std::int64_t rank = 16;
  double alpha = 32.0;
  double dropout = 0.0;
  bool rslora = false;
  std::vector<LoraModule> modules = {};  ///< ascending, each once; not empty

  /// alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski, arXiv:2312.03732).
  [[nodiscard]] double scale() const;
  bool operator==(const LoraConfig&) const = default;
};

/// Inputs and outputs of a projection.
struct ProjectionSize {
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
};
[[nodiscard]] ProjectionSize projection_size(const DecoderConfig& config, Projection projection);

/// Throws Error(kConfig) for an unknown target, no target, a rank below 1 or above any layer's
/// size, a dropout outside [0, 1), an alpha that is not positive.
[[nodiscard]] LoraConfig resolve_lora(const LoraOptions& options, const DecoderConfig& config);

/// Numbers in an adapter of this configuration.
[[nodiscard]] std::int64_t lora_parameter_count(const LoraConfig& lora,
                                                const DecoderConfig& config);

/// adapter_config.json as PEFT 0.21 reads and writes it. The modules are not in what is read: PEFT
/// names them by patterns, the adapter's tensors name them one by one.
/// from_json throws Error(kData), with `where`, for what is not LoRA or changes the arithmetic in a
/// way we do not have: DoRA, biases, modules_to_save, rank_pattern, weights changed at the start
/// (PiSSA, OLoRA, ...), keys that are not known and not empty.
/// Source: huggingface.co/docs/peft, "LoraConfig" and "Checkpoint format".
[[nodiscard]] LoraConfig lora_config_from_json(const Json& json, std::string_view where);
[[nodiscard]] Json lora_config_to_json(const LoraConfig& lora, const DecoderConfig& config);

}  // namespace nativo::model
