// Reads and writes a decoder's shape. See the header.
#include "model/decoder_config.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 28;

/// Typed, range-checked access to one JSON object.
class Reader {
 public:
  Reader(const Json& json, std::string_view where) : json_(json), where_(where) {}

  [[noreturn]] void fail(std::string_view key, std::string_view problem,
                         const std::string& hint = {}) const {
    throw Error(ExitCode::kData, fmt::format("{}: \"{}\" {}", where_, key, problem), hint);
  }

  /// The value of `key`, or null when it is absent or null.
  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  [[nodiscard]] std::int64_t integer(const char* key, const Json& value, std::int64_t least,
                                     std::int64_t most) const {
    const bool fits = value.is_number_unsigned()
                          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                          : value.is_number_integer();
    if (!value.is_number_integer()) fail(key, "must be a whole number");
    const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
    if (!fits || number < least || number > most) {
      fail(key, fmt::format("must be between {} and {}, not {}", least, most, value.dump()));
    }
    return number;
  }

  [[nodiscard]] std::int64_t size(const char* key, std::int64_t most) const {
    const Json* value = find(key);
    if (value == nullptr) fail(key, "is missing");
    return integer(key, *value, 1, most);
  }

  [[nodiscard]] std::optional<std::int64_t> optional_size(const char* key,
                                                          std::int64_t most) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return integer(key, *value, 1, most);
  }

  /// A positive finite number.
  [[nodiscard]] double positive(const char* key, double otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number()) fail(key, "must be a number");
    const auto number = value->get<double>();
    if (!(number > 0.0) || !std::isfinite(number)) fail(key, "must be positive and finite");
    return number;
  }

  [[nodiscard]] bool boolean(const char* key, bool otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(key, "must be true or false");
    return value->get<bool>();
  }

  /// A token id; where Hugging Face allows a list, its first entry.
  [[nodiscard]] std::int32_t token(const char* key, std::int32_t otherwise,
                                   std::int64_t vocab_size) const {
    const Json* value = find(key);
    if (value == nullptr) {
      if (otherwise >= vocab_size)
        fail(key, "is missing, and its default is not in the vocabulary");
      return otherwise;
    }
    if (value->is_array()) {
      if (value->empty()) fail(key, "is an empty list");
      value = &value->front();
    }
    return static_cast<std::int32_t>(integer(key, *value, 0, vocab_size - 1));
  }

 private:
  const Json& json_;
  std::string_view where_;
};

std::string shown(const Json& value) { return printable(utf8_prefix(dump_json(value), 80)); }

void check_supported(const Reader& reader) {
  const Json* type = reader.find("model_type");
  if (type == nullptr) reader.fail("model_type", "is missing", "nativo reads \"mistral\" models");
  if (!type->is_string() || *type != "mistral") {
    reader.fail("model_type", fmt::format("is {}, which is not supported", shown(*type)),
                "nativo reads Mistral-architecture models, whose config.json says "
                "\"model_type\": \"mistral\"");
  }
  const Json* activation = reader.find("hidden_act");
  if (activation != nullptr && *activation != "silu") {
    reader.fail("hidden_act", fmt::format("is {}; only \"silu\" is supported", shown(*activation)));
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (reader.boolean(key, false)) reader.fail(key, "is true; biases are not supported");
  }
  if (const Json* scaling = reader.find("rope_scaling")) {
    reader.fail("rope_scaling", fmt::format("is {}; only null is supported", shown(*scaling)));
  }
  if (reader.find("quantization_config") != nullptr) {
    reader.fail("quantization_config", "is set; quantized weights are not supported",
                "use the model's unquantized files");
  }
}

/// transformers 5 moved rope_theta into rope_parameters; both places are read.
double read_rope_theta(const Reader& reader, std::string_view where) {
  const Json* parameters = reader.find("rope_parameters");
  if (parameters == nullptr) return reader.positive("rope_theta", 10000.0);
  if (!parameters->is_object()) reader.fail("rope_parameters", "must be an object");
  const Reader inner(*parameters, where);
  const Json* type = inner.find("rope_type");
  if (type != nullptr && *type != "default") {
    inner.fail("rope_type", fmt::format("is {}; only \"default\" is supported", shown(*type)));
  }
  return inner.positive("rope_theta", 10000.0);
}

}  // namespace

std::int64_t DecoderConfig::parameter_count() const {
  const std::int64_t embeddings = (tie_embeddings ? 1 : 2) * vocab_size * hidden_size;
  const std::int64_t attention =
      hidden_size * (heads + 2 * kv_heads) * head_dim + heads * head_dim * hidden_size;
  const std::int64_t mlp = 3 * hidden_size * intermediate_size;
  return embeddings + layers * (attention + mlp + 2 * hidden_size) + hidden_size;
}

DecoderConfig config_from_json(const Json& json, std::string_view where) {
  if (!json.is_object()) {
    throw Error(ExitCode::kData, fmt::format("{}: not a JSON object", where));
  }
  const Reader reader(json, where);
  check_supported(reader);

  DecoderConfig config;
  config.vocab_size = reader.size("vocab_size", kMaxVocabulary);
  config.hidden_size = reader.size("hidden_size", kMaxWidth);
  config.intermediate_size = reader.size("intermediate_size", kMaxWidth);
  config.layers = reader.size("num_hidden_layers", kMaxLayers);
  config.heads = reader.size("num_attention_heads", kMaxWidth);
  config.kv_heads = reader.optional_size("num_key_value_heads", kMaxWidth).value_or(config.heads);
  if (config.heads % config.kv_heads != 0) {
    reader.fail("num_attention_heads", fmt::format("({}) is not a multiple of "
                                                   "\"num_key_value_heads\" ({})",
                                                   config.heads, config.kv_heads));
  }
  const auto head_dim = reader.optional_size("head_dim", kMaxWidth);
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
  config.max_positions =
      reader.optional_size("max_position_embeddings", kMaxPositions).value_or(131072);
  config.sliding_window = reader.optional_size("sliding_window", kMaxPositions);
  config.rope_theta = read_rope_theta(reader, where);
  config.rms_norm_eps = reader.positive("rms_norm_eps", 1e-6);
  if (config.rms_norm_eps > 1.0) reader.fail("rms_norm_eps", "must be at most 1");
  config.tie_embeddings = reader.boolean("tie_word_embeddings", false);
  config.bos_id = reader.token("bos_token_id", 1, config.vocab_size);
  config.eos_id = reader.token("eos_token_id", 2, config.vocab_size);
  return config;
}

Json config_to_json(const DecoderConfig& config, std::string_view torch_dtype) {
  Json json;
  json["architectures"] = Json::array({"MistralForCausalLM"});
  json["attention_dropout"] = 0.0;
  json["bos_token_id"] = config.bos_id;
  json["eos_token_id"] = config.eos_id;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = "silu";
  json["hidden_size"] = config.hidden_size;
  json["initializer_range"] = 0.02;
  json["intermediate_size"] = config.intermediate_size;
  json["max_position_embeddings"] = config.max_positions;
  json["model_type"] = "mistral";
  json["num_attention_heads"] = config.heads;
  json["num_hidden_layers"] = config.layers;
  json["num_key_value_heads"] = config.kv_heads;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["rope_theta"] = config.rope_theta;
  if (config.sliding_window) {
    json["sliding_window"] = *config.sliding_window;
  } else {
    json["sliding_window"] = nullptr;
  }
  json["tie_word_embeddings"] = config.tie_embeddings;
  json["torch_dtype"] = std::string(torch_dtype);
  json["use_cache"] = true;
  json["vocab_size"] = config.vocab_size;
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
  return {.vocab_size = vocab_size,
          .hidden_size = 192,
          .intermediate_size = 576,
          .layers = 6,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 32,
          .max_positions = 2048,
          .sliding_window = 256,
          .rope_theta = 10000.0,
          .rms_norm_eps = 1e-5,
          .tie_embeddings = false,
          .bos_id = 1,
          .eos_id = 2};
}

}  // namespace nativo::model
