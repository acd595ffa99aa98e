// config.json to DecoderConfig: what each family has, its defaults, and what is refused.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "model/decoder_config.h"
#include "model/json_reader.h"

namespace nativo::model {
namespace {

constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 28;
constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;
constexpr std::size_t kMaxEosIds = 64;

constexpr const char* kSupported =
    "nativo reads models whose config.json says \"model_type\": \"mistral\", \"llama\", \"qwen2\" "
    "or \"qwen3\"";

Family read_family(const JsonReader& reader) {
  const Json* type = reader.find("model_type");
  if (type == nullptr) reader.fail("model_type", "is missing", kSupported);
  for (const Family family : {Family::kMistral, Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    if (type->is_string() && type->get_ref<const std::string&>() == family_name(family)) {
      return family;
    }
  }
  reader.fail("model_type", fmt::format("is {}, which is not supported", shown_json(*type)),
              kSupported);
}

void check_supported(const JsonReader& reader, const DecoderConfig& config) {
  const Json* activation = reader.find("hidden_act");
  if (activation != nullptr && *activation != "silu") {
    reader.fail("hidden_act",
                fmt::format("is {}; only \"silu\" is supported", shown_json(*activation)));
  }
  if (reader.find("quantization_config") != nullptr) {
    reader.fail("quantization_config", "is set; quantized weights are not supported",
                "use the model's unquantized files");
  }
  if (reader.boolean("use_mrope", false)) reader.fail("use_mrope", "is true; it is not supported");
  const auto refuse_bias = [&](const char* key) {
    if (!reader.boolean(key, false)) return;
    reader.fail(key,
                fmt::format("is true; {} models have no such biases", family_name(config.family)));
  };
  if (config.family != Family::kLlama) refuse_bias("mlp_bias");
  if (config.family == Family::kMistral || config.family == Family::kQwen2) {
    refuse_bias("attention_bias");
  }
}

void read_heads(const JsonReader& reader, DecoderConfig& config) {
  config.heads = reader.size("num_attention_heads", kMaxWidth);
  const bool llama = config.family == Family::kLlama;
  if (!reader.has("num_key_value_heads") && !llama) {
    reader.fail("num_key_value_heads", "is missing");
  }
  config.kv_heads = reader.optional_size("num_key_value_heads", kMaxWidth).value_or(config.heads);
  if (config.heads % config.kv_heads != 0) {
    reader.fail("num_attention_heads", fmt::format("({}) is not a multiple of "
                                                   "\"num_key_value_heads\" ({})",
                                                   config.heads, config.kv_heads));
  }
  auto head_dim = reader.optional_size("head_dim", kMaxWidth);
  if (!head_dim && !reader.has("head_dim") && config.family == Family::kQwen3) head_dim = 128;
  if (!head_dim && config.hidden_size % config.heads != 0) {
    reader.fail("hidden_size", fmt::format("({}) is not a multiple of \"num_attention_heads\" "
                                           "({}), and \"head_dim\" is missing",
                                           config.hidden_size, config.heads));
  }
  config.head_dim = head_dim.value_or(config.hidden_size / config.heads);
  if (config.head_dim % 2 != 0) {
    reader.fail("head_dim",
                fmt::format("is {}; rotary embeddings need an even number", config.head_dim));
  }
  if ((config.heads + 2 * config.kv_heads) * config.head_dim > 4 * kMaxWidth) {
    reader.fail("head_dim", fmt::format("({}) times the number of heads ({}) is out of range",
                                        config.head_dim, config.heads));
  }
}

/// The first layer of `layer_types` that slides; L when none does. All behind it must slide, too.
std::int64_t first_sliding_layer(const JsonReader& reader, const Json& types, std::int64_t layers) {
  if (!types.is_array() || static_cast<std::int64_t>(types.size()) != layers) {
    reader.fail("layer_types", fmt::format("must be a list of {} entries", layers));
  }
  std::int64_t first = layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const Json& type = types[static_cast<std::size_t>(layer)];
    const bool slides = type == "sliding_attention";
    if (!slides && type != "full_attention") {
      reader.fail("layer_types", fmt::format("has {}, which is not supported", shown_json(type)));
    }
    if (slides) first = std::min(first, layer);
    if (!slides && first < layers) {
      reader.fail("layer_types",
                  "has full attention above a sliding layer, which is not supported");
    }
  }
  return first;
}

void read_window(const JsonReader& reader, DecoderConfig& config) {
  const bool qwen = config.family == Family::kQwen2 || config.family == Family::kQwen3;
  auto window = reader.optional_size("sliding_window", kMaxPositions);
  if (!window && !reader.has("sliding_window")) window = 4096;
  if (config.family == Family::kLlama) window.reset();
  if (qwen && !reader.boolean("use_sliding_window", false)) window.reset();
  std::int64_t first = 0;
  if (qwen) {
    const Json* value = reader.find("max_window_layers");
    first = value == nullptr ? 28 : reader.integer("max_window_layers", *value, 0, kMaxPositions);
  }
  if (const Json* types = reader.find("layer_types")) {
    first = first_sliding_layer(reader, *types, config.layers);
    if (first < config.layers && !window) {
      reader.fail("layer_types", "has sliding layers, but there is no sliding window");
    }
    if (window && !qwen && first != 0) {
      reader.fail("layer_types",
                  "leaves layers without the sliding window, which transformers "
                  "does not do for this family");
    }
  }
  if (!window || first >= config.layers) return;
  config.sliding_window = window;
  config.first_window_layer = first;
}

double read_factor(const JsonReader& reader, const char* key, double otherwise, double least,
                   double most) {
  const double value = reader.positive(key, otherwise);
  if (value < least || value > most) {
    reader.fail(key, fmt::format("must be between {} and {}, not {}", least, most, value));
  }
  return value;
}

double required_factor(const JsonReader& reader, const char* key) {
  if (reader.find(key) == nullptr) reader.fail(key, "is missing");
  return read_factor(reader, key, 1.0, 1e-6, kMaxFactor);
}

RopeScaling read_yarn(const JsonReader& reader, const DecoderConfig& config) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kYarn;
  scaling.factor = required_factor(reader, "factor");
  scaling.original_max_positions =
      reader.optional_size("original_max_position_embeddings", kMaxPositions)
          .value_or(config.max_positions);
  scaling.beta_fast = read_factor(reader, "beta_fast", 32.0, 1e-6, kMaxFactor);
  scaling.beta_slow = read_factor(reader, "beta_slow", 1.0, 1e-6, kMaxFactor);
  scaling.truncate = reader.boolean("truncate", true);
  double magnitude = yarn_magnitude(scaling.factor, 1.0);
  if (reader.find("mscale") != nullptr && reader.find("mscale_all_dim") != nullptr) {
    magnitude =
        yarn_magnitude(scaling.factor, read_factor(reader, "mscale", 1.0, 1e-6, kMaxFactor)) /
        yarn_magnitude(scaling.factor,
                       read_factor(reader, "mscale_all_dim", 1.0, 1e-6, kMaxFactor));
  }
  scaling.attention_factor = read_factor(reader, "attention_factor", magnitude, 1e-6, kMaxFactor);
  return scaling;
}

RopeScaling read_llama3(const JsonReader& reader) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kLlama3;
  scaling.factor = required_factor(reader, "factor");
  scaling.low_freq_factor = required_factor(reader, "low_freq_factor");
  scaling.high_freq_factor = required_factor(reader, "high_freq_factor");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    reader.fail("high_freq_factor", "must be greater than \"low_freq_factor\"");
  }
  scaling.original_max_positions = reader.size("original_max_position_embeddings", kMaxPositions);
  return scaling;
}

/// The scaling in `reader`'s object; `key` names that object.
RopeScaling read_scaling(const JsonReader& outer, const char* key, const JsonReader& reader,
                         const DecoderConfig& config) {
  const Json* type = reader.find("rope_type");
  if (type == nullptr) type = reader.find("type");
  if (type == nullptr || *type == "default") return {};
  if (read_factor(reader, "partial_rotary_factor", 1.0, 1e-6, 1.0) != 1.0) {
    reader.fail("partial_rotary_factor", "is not 1, which is not supported");
  }
  if (*type == "linear" || *type == "dynamic") {
    RopeScaling scaling;
    scaling.type = *type == "linear" ? RopeScaling::Type::kLinear : RopeScaling::Type::kDynamic;
    scaling.factor = required_factor(reader, "factor");
    return scaling;
  }
  if (*type == "llama3") return read_llama3(reader);
  if (*type == "yarn") {
    if (config.rope_theta <= 1.0) outer.fail("rope_theta", "must be greater than 1 for yarn");
    return read_yarn(reader, config);
  }
  outer.fail(key, fmt::format("has the type {}, which is not supported", shown_json(*type)),
             "supported are \"default\", \"linear\", \"dynamic\", \"llama3\" and \"yarn\"");
}

/// transformers 5 moved rope_theta and rope_scaling into rope_parameters; both places are read.
void read_rope(const JsonReader& reader, std::string_view where, DecoderConfig& config) {
  config.rope_theta = read_factor(reader, "rope_theta", 10000.0, 1.0, kMaxTheta);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const Json* object = reader.find(key);
    if (object == nullptr) continue;
    if (!object->is_object()) reader.fail(key, "must be an object");
    const JsonReader inner(*object, where);
    config.rope_theta = read_factor(inner, "rope_theta", config.rope_theta, 1.0, kMaxTheta);
    config.rope_scaling = read_scaling(reader, key, inner, config);
    return;
  }
}

/// A token id or, for eos, a list of them.
std::vector<std::int32_t> read_ids(const JsonReader& reader, const char* key, const Json& value,
                                   std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  const auto add = [&](const Json& id) {
    ids.push_back(static_cast<std::int32_t>(reader.integer(key, id, 0, vocab_size - 1)));
  };
  if (!value.is_array()) {
    add(value);
    return ids;
  }
  if (value.empty()) reader.fail(key, "is an empty list");
  if (value.size() > kMaxEosIds) reader.fail(key, fmt::format("has more than {} ids", kMaxEosIds));
  for (const Json& id : value) add(id);
  return ids;
}

void read_special_ids(const JsonReader& reader, DecoderConfig& config) {
  const bool qwen = config.family == Family::kQwen2 || config.family == Family::kQwen3;
  const auto read = [&](const char* key, std::int32_t otherwise) -> std::vector<std::int32_t> {
    const Json* value = reader.find(key);
    if (value != nullptr) return read_ids(reader, key, *value, config.vocab_size);
    if (reader.has(key) || qwen) return {-1};
    if (otherwise >= config.vocab_size) {
      reader.fail(key, "is missing, and its default is not in the vocabulary");
    }
    return {otherwise};
  };
  config.bos_id = read("bos_token_id", 1).front();
  std::vector<std::int32_t> ends = read("eos_token_id", 2);
  config.eos_id = ends.front();
  config.more_eos_ids.assign(ends.begin() + 1, ends.end());
}

std::int64_t default_positions(Family family) {
  switch (family) {
    case Family::kMistral:
      return 131072;
    case Family::kLlama:
      return 2048;
    case Family::kQwen2:
    case Family::kQwen3:
      return 32768;
  }
  return 0;
}

}  // namespace

DecoderConfig config_from_json(const Json& json, std::string_view where) {
  if (!json.is_object()) {
    throw Error(ExitCode::kData, fmt::format("{}: not a JSON object", where));
  }
  const JsonReader reader(json, where);
  DecoderConfig config;
  config.family = read_family(reader);
  check_supported(reader, config);
  config.vocab_size = reader.size("vocab_size", kMaxVocabulary);
  config.hidden_size = reader.size("hidden_size", kMaxWidth);
  config.intermediate_size = reader.size("intermediate_size", kMaxWidth);
  config.layers = reader.size("num_hidden_layers", kMaxLayers);
  read_heads(reader, config);
  config.attention_bias = reader.boolean("attention_bias", false);
  config.mlp_bias = reader.boolean("mlp_bias", false);
  config.max_positions = reader.optional_size("max_position_embeddings", kMaxPositions)
                             .value_or(default_positions(config.family));
  read_window(reader, config);
  read_rope(reader, where, config);
  config.rms_norm_eps = reader.positive("rms_norm_eps", 1e-6);
  if (config.rms_norm_eps > 1.0) reader.fail("rms_norm_eps", "must be at most 1");
  config.tie_embeddings = reader.boolean("tie_word_embeddings", false);
  read_special_ids(reader, config);
  return config;
}

}  // namespace nativo::model
