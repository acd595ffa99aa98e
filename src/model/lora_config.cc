#include "model/lora_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr std::array<std::string_view, kProjections> kPaths = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
constexpr std::string_view kLayers = "model.layers.";
constexpr std::string_view kAll = "all-linear";
constexpr std::int64_t kGreatestRank = 65536;

[[noreturn]] void bad_option(const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::kConfig, "lora: " + message, std::move(hint));
}

[[noreturn]] void bad(std::string_view where, const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", where, message), std::move(hint));
}

/// null, false, 0, "" and empty lists: the key says nothing.
bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == 0 ||
         (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         ((value.is_object() || value.is_array()) && value.empty());
}

double number(const Json& json, const char* key, std::string_view where, double otherwise) {
  const auto found = json.find(key);
  if (found == json.end()) return otherwise;
  if (!found->is_number()) bad(where, fmt::format("\"{}\" is not a number", key));
  return found->get<double>();
}

bool boolean(const Json& json, const char* key, std::string_view where) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return false;
  if (!found->is_boolean()) bad(where, fmt::format("\"{}\" is neither true nor false", key));
  return found->get<bool>();
}

/// Keys that we use, or that change nothing about a finished adapter.
const std::set<std::string, std::less<>> kHarmless = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
    "use_rslora",
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "ensure_weight_tying",
    "runtime_config",
    "init_lora_weights",
    "bias",
};

void refuse_what_we_do_not_compute(const Json& json, std::string_view where) {
  const auto type = json.find("peft_type");
  if (type == json.end() || *type != "LORA") {
    bad(where, "\"peft_type\" is not \"LORA\"", "only LoRA adapters can be used");
  }
  const auto bias = json.find("bias");
  if (bias != json.end() && !says_nothing(*bias) && *bias != "none") {
    bad(where, "\"bias\" is not \"none\": trained biases are not supported");
  }
  const auto start = json.find("init_lora_weights");
  if (start != json.end() && !start->is_boolean() && !start->is_null() && *start != "gaussian" &&
      *start != "orthogonal") {
    bad(where, "\"init_lora_weights\" names a start that changes the base's weights too",
        "convert the adapter to a plain one with PEFT's path_initial_model_for_weight_conversion");
  }
  for (const auto& [key, value] : json.items()) {
    if (kHarmless.contains(key) || says_nothing(value)) continue;
    bad(where, fmt::format("\"{}\" is set, which is not supported", printable(key)),
        "merge the adapter with PEFT (merge_and_unload) and use the merged model");
  }
}

}  // namespace

std::string_view projection_path(Projection projection) {
  return kPaths.at(static_cast<std::size_t>(projection));
}

std::string_view projection_name(Projection projection) {
  const std::string_view path = projection_path(projection);
  return path.substr(path.find('.') + 1);
}

std::string LoraModule::name() const {
  return fmt::format("{}{}.{}", kLayers, layer, projection_path(projection));
}

std::optional<LoraModule> module_from_name(std::string_view name) {
  if (!name.starts_with(kLayers)) return std::nullopt;
  LoraModule module;
  const char* begin = name.data() + kLayers.size();
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, module.layer);
  if (error != std::errc() || rest == end || *rest != '.' || module.layer < 0) return std::nullopt;
  const std::string_view path(rest + 1, static_cast<std::size_t>(end - rest - 1));
  const auto found = std::find(kPaths.begin(), kPaths.end(), path);
  if (found == kPaths.end()) return std::nullopt;
  module.projection = static_cast<Projection>(found - kPaths.begin());
  return module.name() == name ? std::optional(module) : std::nullopt;  // no "+1", no "01"
}

double LoraConfig::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

ProjectionSize projection_size(const DecoderConfig& config, Projection projection) {
  const std::int64_t width = config.hidden_size;
  switch (projection) {
    case Projection::kQ:
      return {config.heads * config.head_dim, width};
    case Projection::kK:
    case Projection::kV:
      return {config.kv_heads * config.head_dim, width};
    case Projection::kO:
      return {width, config.heads * config.head_dim};
    case Projection::kGate:
    case Projection::kUp:
      return {config.intermediate_size, width};
    case Projection::kDown:
      break;
  }
  return {width, config.intermediate_size};
}

LoraConfig resolve_lora(const LoraOptions& options, const DecoderConfig& config) {
  if (!(options.alpha > 0.0) || !std::isfinite(options.alpha)) bad_option("alpha is positive");
  if (!(options.dropout >= 0.0 && options.dropout < 1.0)) {
    bad_option("dropout is at least 0 and below 1");
  }
  std::array<bool, kProjections> wanted{};
  std::vector<std::string> names = {std::string(kAll)};
  for (std::size_t i = 0; i < kProjections; ++i) {
    names.emplace_back(projection_name(static_cast<Projection>(i)));
  }
  for (const std::string& target : options.targets) {
    const auto found = std::find(names.begin(), names.end(), target);
    if (found == names.end()) {
      const std::string near = nearest(target, names);
      bad_option(fmt::format("unknown target \"{}\"", printable(target)),
                 near.empty() ? fmt::format("known: {}", fmt::join(names, ", "))
                              : fmt::format("did you mean \"{}\"?", near));
    }
    if (found == names.begin()) {
      wanted.fill(true);
    } else {
      wanted.at(static_cast<std::size_t>(found - names.begin()) - 1) = true;
    }
  }
  LoraConfig lora{.rank = options.rank,
                  .alpha = options.alpha,
                  .dropout = options.dropout,
                  .rslora = options.rslora,
                  .modules = {}};
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (std::size_t i = 0; i < kProjections; ++i) {
      if (!wanted.at(i)) continue;
      const auto projection = static_cast<Projection>(i);
      const ProjectionSize size = projection_size(config, projection);
      if (options.rank < 1 || options.rank > std::min(size.outputs, size.inputs)) {
        bad_option(fmt::format("rank {} does not fit {} of {} x {}", options.rank,
                               projection_name(projection), size.outputs, size.inputs),
                   "choose a rank from 1 to the layer's smaller side");
      }
      lora.modules.push_back({layer, projection});
    }
  }
  if (lora.modules.empty()) bad_option("no targets: nothing would be trained");
  return lora;
}

std::int64_t lora_parameter_count(const LoraConfig& lora, const DecoderConfig& config) {
  std::int64_t count = 0;
  for (const LoraModule& module : lora.modules) {
    const ProjectionSize size = projection_size(config, module.projection);
    count += lora.rank * (size.outputs + size.inputs);
  }
  return count;
}

LoraConfig lora_config_from_json(const Json& json, std::string_view where) {
  if (!json.is_object()) bad(where, "not a JSON object");
  refuse_what_we_do_not_compute(json, where);
  LoraConfig lora;
  const auto rank = json.find("r");
  if (rank == json.end() || !rank->is_number_integer() || *rank < 1 || *rank > kGreatestRank) {
    bad(where, "\"r\" is not a rank from 1");
  }
  lora.rank = rank->get<std::int64_t>();
  lora.alpha = number(json, "lora_alpha", where, 8.0);
  if (!std::isfinite(lora.alpha)) bad(where, "\"lora_alpha\" is not finite");
  lora.dropout = number(json, "lora_dropout", where, 0.0);
  if (!(lora.dropout >= 0.0 && lora.dropout < 1.0)) {
    bad(where, "\"lora_dropout\" is not in [0, 1)");
  }
  lora.rslora = boolean(json, "use_rslora", where);
  return lora;
}

Json lora_config_to_json(const LoraConfig& lora, const DecoderConfig& config) {
  // A projection adapted in all layers is named once; else each module in full.
  std::array<std::int64_t, kProjections> layers{};
  for (const LoraModule& module : lora.modules) {
    ++layers.at(static_cast<std::size_t>(module.projection));
  }
  std::set<std::string> targets;
  for (const LoraModule& module : lora.modules) {
    if (layers.at(static_cast<std::size_t>(module.projection)) == config.layers) {
      targets.emplace(projection_name(module.projection));
    } else {
      targets.insert(module.name());
    }
  }
  // PEFT's own type is int; what is a whole number is written as one.
  const Json alpha = lora.alpha == std::floor(lora.alpha) && std::abs(lora.alpha) < 1e15
                         ? Json(static_cast<std::int64_t>(lora.alpha))
                         : Json(lora.alpha);
  return {{"base_model_name_or_path", nullptr},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"lora_alpha", alpha},
          {"lora_dropout", lora.dropout},
          {"modules_to_save", nullptr},
          {"peft_type", "LORA"},
          {"r", lora.rank},
          {"target_modules", targets},
          {"task_type", "CAUSAL_LM"},
          {"use_dora", false},
          {"use_rslora", lora.rslora}};
}

}  // namespace nativo::model
