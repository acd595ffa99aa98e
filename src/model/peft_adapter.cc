#include "model/peft_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "model/model_folder.h"
#include "model/safetensors.h"

namespace nativo::model {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::uint64_t kConfigBytes = std::uint64_t{64} << 20;

std::string shown(const fs::path& path) { return printable(path.string()); }

[[noreturn]] void bad(const fs::path& path, const std::string& reason, std::string hint = {}) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", shown(path), reason), std::move(hint));
}

void require_files(const fs::path& folder) {
  for (const char* name : {kAdapterConfig, kAdapterWeights}) {
    if (fs::exists(folder / name)) continue;
    const bool pickled = fs::exists(folder / "adapter_model.bin");
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no {}", shown(folder), name),
                pickled ? "adapter_model.bin is pickled and can run code when loaded; load it with "
                          "PEFT where you trust it and save it with safe_serialization=True"
                        : "give a folder that PEFT's save_pretrained wrote");
  }
  if (!fs::exists(folder / kDigestsFile)) return;
  const Digests digests = verify_digests(folder);
  for (const char* name : {kAdapterConfig, kAdapterWeights}) {
    if (!digests.contains(name)) bad(folder / name, "nativo.digests.json does not vouch for it");
  }
}

/// The two tensors of a module as the file holds them.
struct Pair {
  const TensorEntry* a = nullptr;
  const TensorEntry* b = nullptr;
};

std::map<LoraModule, Pair> find_pairs(const SafetensorsFile& file) {
  std::map<LoraModule, Pair> pairs;
  for (const TensorEntry& entry : file.header().tensors) {
    std::string_view name = entry.name;
    const bool is_a = name.ends_with(".lora_A.weight");
    std::optional<LoraModule> module;
    if (name.starts_with(kPrefix) && (is_a || name.ends_with(".lora_B.weight"))) {
      name.remove_prefix(kPrefix.size());
      name.remove_suffix(std::string_view(".lora_A.weight").size());
      module = module_from_name(name);
    }
    if (!module) {
      bad(file.path(),
          fmt::format("\"{}\" is not an adapter of a block's linear layer", printable(entry.name)),
          "only q, k, v, o, gate, up and down projections can be adapted");
    }
    (is_a ? pairs[*module].a : pairs[*module].b) = &entry;
  }
  if (pairs.empty()) bad(file.path(), "no adapter is in it");
  return pairs;
}

void check_shape(const SafetensorsFile& file, const LoraModule& module, const char* which,
                 const TensorEntry* entry, const std::vector<std::int64_t>& shape) {
  if (entry == nullptr) {
    bad(file.path(), fmt::format("{} of {} is missing", which, module.name()));
  }
  if (entry->shape != shape) {
    bad(file.path(),
        fmt::format("{} of {} has shape {}; the model and \"r\" ask for {}", which, module.name(),
                    shape_text(entry->shape), shape_text(shape)),
        "is it an adapter of another model?");
  }
}

}  // namespace

void load_adapter(Decoder& decoder, const fs::path& folder) {
  recover_folder(folder);
  if (!fs::is_directory(folder)) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no such folder", shown(folder)),
                fmt::format("give a folder that holds {}", kAdapterConfig));
  }
  require_files(folder);
  const fs::path config_path = folder / kAdapterConfig;
  const std::string where = shown(config_path);
  LoraConfig lora =
      lora_config_from_json(parse_json(io::read_file(config_path, kConfigBytes), where), where);
  const SafetensorsFile file(folder / kAdapterWeights);
  const std::map<LoraModule, Pair> pairs = find_pairs(file);
  for (const auto& [module, pair] : pairs) {
    if (module.layer >= decoder.config().layers) {
      bad(file.path(), fmt::format("{} is beyond the model's {} layers", module.name(),
                                   decoder.config().layers));
    }
    const ProjectionSize size = projection_size(decoder.config(), module.projection);
    check_shape(file, module, "lora_A", pair.a, {lora.rank, size.inputs});
    check_shape(file, module, "lora_B", pair.b, {size.outputs, lora.rank});
    lora.modules.push_back(module);
  }
  decoder.attach_lora(lora, 0);
  for (Parameter& parameter : decoder.trainable()) {
    std::vector<float> values(parameter.elements());
    file.read(*file.find(parameter.name), values);
    tensor::write(values, parameter.stored);
  }
}

namespace {

std::vector<TensorToWrite> adapters_of(const Decoder& decoder) {
  NATIVO_CHECK(decoder.lora() != nullptr, "an adapter to be written");
  std::vector<TensorToWrite> tensors;
  for (std::size_t index = 0; index < decoder.trainable().size(); ++index) {
    const Parameter& parameter = decoder.trainable()[index];
    TensorToWrite& tensor =
        tensors.emplace_back(TensorToWrite{parameter.name, parameter.whole_shape(), {}});
    if (parameter.part.is_cut() || parameter.value.empty()) {
      tensor.make = [&decoder, index](std::span<float> values) {
        decoder.read_whole_adapter(index, values);
      };
    } else {
      tensor.values = parameter.value;
    }
  }
  return tensors;
}

}  // namespace

Digests write_adapter_files(const fs::path& folder, const Decoder& decoder, const std::string& base,
                            io::Disk& disk) {
  return write_adapter_files(folder, *decoder.lora(), decoder.config(), adapters_of(decoder), base,
                             disk);
}

void help_write_adapter(const Decoder& decoder) {
  help_write_safetensors(adapters_of(decoder), StorageType::kF32);
}

Digests write_adapter_files(const fs::path& folder, const LoraConfig& lora,
                            const DecoderConfig& config, std::span<const TensorToWrite> tensors,
                            const std::string& base, io::Disk& disk) {
  const std::string weights = write_safetensors(folder / kAdapterWeights, tensors,
                                                StorageType::kF32, {{"format", "pt"}}, disk);
  Digests digests = write_adapter_config(folder, lora, config, base, disk);
  digests[kAdapterWeights] = weights;
  return digests;
}

Digests write_adapter_config(const fs::path& folder, const LoraConfig& lora,
                             const DecoderConfig& config, const std::string& base, io::Disk& disk) {
  Json json = lora_config_to_json(lora, config);
  if (!base.empty()) json["base_model_name_or_path"] = base;
  const std::string text = dump_json_pretty(json);
  io::write_file_atomically(folder / kAdapterConfig, text, disk);
  return {{kAdapterConfig, sha256_hex(text)}};
}

void save_adapter(const fs::path& folder, const Decoder& decoder, const std::string& base,
                  io::Disk& disk) {
  replace_folder(folder, "an adapter", disk, [&](const fs::path& into) {
    Json files = Json::object();
    for (const auto& [name, digest] : write_adapter_files(into, decoder, base, disk)) {
      files[name] = digest;
    }
    io::write_file_atomically(into / kDigestsFile,
                              dump_json_pretty({{"version", 1}, {"files", files}}), disk);
  });
}

}  // namespace nativo::model
