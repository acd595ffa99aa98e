// What follows from a decoder's shape, its config.json, and the presets. Reading is
// decoder_config_json.cc's.
#include "model/decoder_config.h"

#include <fmt/core.h>

#include <string>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;

const char* architecture(Family family) {
  switch (family) {
    case Family::kMistral:
      return "MistralForCausalLM";
    case Family::kLlama:
      return "LlamaForCausalLM";
    case Family::kQwen2:
      return "Qwen2ForCausalLM";
    case Family::kQwen3:
      return "Qwen3ForCausalLM";
  }
  return "";
}

/// In the spelling that transformers 4 writes and 5 reads.
Json scaling_to_json(const RopeScaling& scaling) {
  switch (scaling.type) {
    case RopeScaling::Type::kNone:
      return nullptr;
    case RopeScaling::Type::kLinear:
      return {{"rope_type", "linear"}, {"factor", scaling.factor}};
    case RopeScaling::Type::kDynamic:
      return {{"rope_type", "dynamic"}, {"factor", scaling.factor}};
    case RopeScaling::Type::kLlama3:
      return {{"rope_type", "llama3"},
              {"factor", scaling.factor},
              {"low_freq_factor", scaling.low_freq_factor},
              {"high_freq_factor", scaling.high_freq_factor},
              {"original_max_position_embeddings", scaling.original_max_positions}};
    case RopeScaling::Type::kYarn:
      return {{"rope_type", "yarn"},
              {"factor", scaling.factor},
              {"beta_fast", scaling.beta_fast},
              {"beta_slow", scaling.beta_slow},
              {"truncate", scaling.truncate},
              {"attention_factor", scaling.attention_factor},
              {"original_max_position_embeddings", scaling.original_max_positions}};
  }
  return nullptr;
}

Json id_to_json(std::int32_t id) { return id < 0 ? Json(nullptr) : Json(id); }

}  // namespace

std::string_view family_name(Family family) {
  switch (family) {
    case Family::kMistral:
      return "mistral";
    case Family::kLlama:
      return "llama";
    case Family::kQwen2:
      return "qwen2";
    case Family::kQwen3:
      return "qwen3";
  }
  return "";
}

std::int64_t DecoderConfig::parameter_count() const {
  const std::int64_t embeddings = (tie_embeddings ? 1 : 2) * vocab_size * hidden_size;
  std::int64_t attention = hidden_size * qkv_width() + q_width() * hidden_size;
  if (has_qkv_bias()) attention += qkv_width();
  if (attention_bias) attention += hidden_size;
  if (has_qk_norm()) attention += 2 * head_dim;
  std::int64_t mlp = 3 * hidden_size * intermediate_size;
  if (mlp_bias) mlp += 2 * intermediate_size + hidden_size;
  return embeddings + layers * (attention + mlp + 2 * hidden_size) + hidden_size;
}

Json config_to_json(const DecoderConfig& config, std::string_view torch_dtype) {
  Json json;
  json["architectures"] = Json::array({architecture(config.family)});
  json["attention_dropout"] = 0.0;
  json["bos_token_id"] = id_to_json(config.bos_id);
  json["eos_token_id"] = id_to_json(config.eos_id);
  if (!config.more_eos_ids.empty()) {
    Json ids = Json::array({config.eos_id});
    for (const std::int32_t id : config.more_eos_ids) ids.push_back(id);
    json["eos_token_id"] = ids;
  }
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = "silu";
  json["hidden_size"] = config.hidden_size;
  json["initializer_range"] = 0.02;
  json["intermediate_size"] = config.intermediate_size;
  json["max_position_embeddings"] = config.max_positions;
  json["model_type"] = std::string(family_name(config.family));
  json["num_attention_heads"] = config.heads;
  json["num_hidden_layers"] = config.layers;
  json["num_key_value_heads"] = config.kv_heads;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["rope_scaling"] = scaling_to_json(config.rope_scaling);
  json["rope_theta"] = config.rope_theta;
  json["tie_word_embeddings"] = config.tie_embeddings;
  json["torch_dtype"] = std::string(torch_dtype);
  json["use_cache"] = true;
  json["vocab_size"] = config.vocab_size;
  const bool qwen = config.family == Family::kQwen2 || config.family == Family::kQwen3;
  if (config.family == Family::kLlama || config.family == Family::kQwen3) {
    json["attention_bias"] = config.attention_bias;
  }
  if (config.family == Family::kLlama) json["mlp_bias"] = config.mlp_bias;
  if (config.family == Family::kMistral || qwen) {
    json["sliding_window"] = config.sliding_window ? Json(*config.sliding_window) : Json(nullptr);
  }
  if (qwen) {
    json["use_sliding_window"] = config.sliding_window.has_value();
    json["max_window_layers"] = config.sliding_window ? config.first_window_layer : config.layers;
  }
  return json;
}

DecoderConfig preset(std::string_view name, std::int64_t vocab_size) {
  if (name != "tiny") {
    throw Error(ExitCode::kConfig,
                fmt::format("unknown model preset \"{}\"", printable(std::string(name))),
                "the preset is \"tiny\"");
  }
  if (vocab_size < 3 || vocab_size > kMaxVocabulary) {
    throw Error(ExitCode::kConfig,
                fmt::format("a vocabulary of {} does not fit preset \"tiny\"", vocab_size));
  }
  DecoderConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = 192;
  config.intermediate_size = 576;
  config.layers = 6;
  config.heads = 6;
  config.kv_heads = 2;
  config.head_dim = 32;
  config.max_positions = 2048;
  config.sliding_window = 256;
  return config;
}

}  // namespace nativo::model
