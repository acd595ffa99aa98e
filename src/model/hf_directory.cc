#include "model/hf_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "dist/communicator.h"
#include "model/decoder_config.h"
#include "model/model_folder.h"
#include "model/safetensors.h"

namespace nativo::model {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kSmallFile = std::uint64_t{256} << 20;

std::string shown(const fs::path& path) { return printable(path.string()); }

[[noreturn]] void bad(const fs::path& path, const std::string& reason, std::string hint = {}) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", shown(path), reason), std::move(hint));
}

// A name that stays inside its folder.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Json read_json(const fs::path& path) {
  return parse_json(io::read_file(path, kSmallFile), shown(path));
}

[[noreturn]] void no_weights(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string suffix = entry.path().extension().string();
    if (suffix == ".bin" || suffix == ".pt" || suffix == ".pth" || suffix == ".pkl") {
      throw Error(
          ExitCode::kMissingInput,
          fmt::format(
              "{}: no safetensors, only pickled weights ({}), which can run code when loaded",
              shown(folder), printable(entry.path().filename().string())),
          "convert them once, where you trust them: python -c \"from transformers import "
          "AutoModelForCausalLM as M; M.from_pretrained('IN').save_pretrained('OUT', "
          "safe_serialization=True)\"");
    }
  }
  throw Error(ExitCode::kMissingInput,
              fmt::format("{}: neither {} nor {}", shown(folder), kSingle, kIndex),
              "give a folder that holds a model as Hugging Face lays it out");
}

// The files that hold the weights, and for shards which file must hold which tensor.
struct WeightFiles {
  std::vector<std::string> names;
  std::map<std::string, std::string> file_of_tensor;  // empty for a single file
};

WeightFiles find_weights(const fs::path& folder) {
  if (fs::exists(folder / kSingle)) return {{kSingle}, {}};
  const fs::path index_path = folder / kIndex;
  if (!fs::exists(index_path)) no_weights(folder);
  const Json index = read_json(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    bad(index_path, R"("weight_map" is missing)");
  }
  WeightFiles files;
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>()) ||
        !file.get_ref<const std::string&>().ends_with(".safetensors")) {
      bad(index_path,
          fmt::format("\"{}\" is not in a .safetensors file of this folder", printable(tensor)));
    }
    names.insert(file.get<std::string>());
    files.file_of_tensor[tensor] = file.get<std::string>();
  }
  files.names.assign(names.begin(), names.end());
  return files;
}

// Tensors of all the files by name.
struct Located {
  const SafetensorsFile* file = nullptr;
  const TensorEntry* entry = nullptr;
};

std::map<std::string, Located> locate(const fs::path& folder, const WeightFiles& weights,
                                      const std::vector<SafetensorsFile>& files) {
  std::map<std::string, Located> tensors;
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (const TensorEntry& entry : files[i].header().tensors) {
      if (!tensors.emplace(entry.name, Located{&files[i], &entry}).second) {
        bad(files[i].path(), fmt::format("\"{}\" is in another shard too", printable(entry.name)));
      }
      if (weights.file_of_tensor.empty()) continue;
      const auto mapped = weights.file_of_tensor.find(entry.name);
      if (mapped == weights.file_of_tensor.end() || mapped->second != weights.names[i]) {
        bad(folder / kIndex, fmt::format("\"{}\" is in {}, which the index does not say",
                                         printable(entry.name), weights.names[i]));
      }
    }
  }
  for (const auto& [name, file] : weights.file_of_tensor) {
    if (!tensors.contains(name)) {
      bad(folder / kIndex, fmt::format("\"{}\" is not in {}", printable(name), file));
    }
  }
  return tensors;
}

// Tensors that a file may hold beyond the parameters: buffers that older versions of transformers
// saved, and a head that repeats the embedding it is tied to.
bool may_be_ignored(const std::string& name, const Located& found,
                    const std::map<std::string, Located>& tensors, bool tied) {
  if (name.ends_with(".rotary_emb.inv_freq")) return true;
  if (!tied || name != "lm_head.weight") return false;
  const auto embedding = tensors.find("model.embed_tokens.weight");
  if (embedding == tensors.end() || embedding->second.entry->type != found.entry->type) {
    return false;
  }
  return std::ranges::equal(embedding->second.file->bytes(*embedding->second.entry),
                            found.file->bytes(*found.entry));
}

Decoder allocate(const DecoderConfig& config, const Quantization& quantization,
                 const DecoderRanks& ranks, const Numbers& numbers, const fs::path& folder) {
  try {
    return Decoder(config, quantization, ranks, numbers);
  } catch (const std::bad_alloc&) {
    throw Error(ExitCode::kTryAgain,
                fmt::format("{}: not enough memory for {} parameters", shown(folder),
                            config.parameter_count()),
                "use a machine with more memory or a smaller model");
  }
}

}  // namespace

Digests verify_digests(const fs::path& folder, io::Turns turns) {
  const fs::path path = folder / kDigestsFile;
  const Json json = read_json(path);
  const Json version = json.is_object() ? json.value("version", Json()) : Json();
  if ((version != 1 && version != 2) || !json.contains("files") || !json["files"].is_object()) {
    bad(path, "not a list of digests of version 1 or 2");
  }
  Digests digests;
  for (const auto& [name, digest] : json["files"].items()) {
    const bool is_ranges = version == 2 && digest.is_object() && digest.contains("ranges");
    if (!is_plain_name(name) || !(digest.is_string() || is_ranges)) {
      bad(path, fmt::format("\"{}\" is not a file of this folder", printable(name)));
    }
    if (!fs::exists(folder / name)) {
      bad(folder / name, "missing, although nativo.digests.json lists it", "copy the folder anew");
    }
    if (is_ranges) {
      io::check_ranges(folder / name, io::ranges_from_json(digest["ranges"], shown(path)), turns);
      digests[name] = sha256_hex(dump_json(digest["ranges"]));
      continue;
    }
    const auto& listed = digest.get_ref<const std::string&>();
    const std::string actual = turns.is_mine() ? io::file_sha256(folder / name) : listed;
    if (actual != listed) {
      bad(folder / name,
          fmt::format("its SHA-256 is {}, not {} as nativo.digests.json says", actual,
                      printable(listed)),
          "the file is damaged or was changed; copy it anew, or, if you changed it on purpose, "
          "delete nativo.digests.json");
    }
    digests[name] = actual;
  }
  return digests;
}

namespace {

void require_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no such folder", shown(folder)),
                "give a folder that holds config.json and model.safetensors");
  }
  if (!fs::exists(folder / kConfig)) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no config.json", shown(folder)),
                "give a folder that holds a model as Hugging Face lays it out");
  }
}

}  // namespace

DecoderConfig read_config(const fs::path& folder) {
  require_folder(folder);
  return config_from_json(read_json(folder / kConfig), shown(folder / kConfig));
}

namespace {

/// What all fail with alike, the first says.
Digests verify_together(const fs::path& folder, dist::Communicator* ranks) {
  if (ranks == nullptr) return verify_digests(folder);
  Digests digests;
  std::string failure;
  try {
    digests = verify_digests(folder, {ranks->rank(), ranks->size()});
  } catch (const Error& error) {
    failure = fmt::format("{} ({})", error.what(), error.hint());
  }
  for (const std::string& text : dist::all_gather_text(*ranks, failure)) {
    if (!text.empty()) throw Error(ExitCode::kData, ranks->is_root() ? text : "");
  }
  return digests;
}

}  // namespace

Decoder load_decoder(const fs::path& folder, const Quantization& quantization,
                     const DecoderRanks& ranks, const Numbers& numbers) {
  recover_folder(folder);
  require_folder(folder);
  const WeightFiles weights = find_weights(folder);
  if (fs::exists(folder / kDigestsFile)) {
    const Digests digests = verify_together(folder, ranks.all);
    std::vector<std::string> used = weights.names;
    used.emplace_back(kConfig);
    if (!weights.file_of_tensor.empty()) used.emplace_back(kIndex);
    for (const std::string& name : used) {
      if (!digests.contains(name)) bad(folder / name, "nativo.digests.json does not vouch for it");
    }
  }
  const DecoderConfig config = read_config(folder);

  std::vector<SafetensorsFile> files;
  for (const std::string& name : weights.names) files.emplace_back(folder / name);
  const auto tensors = locate(folder, weights, files);
  std::int64_t elements = 0;
  for (const auto& [name, found] : tensors) elements += found.entry->elements;
  if (elements < config.parameter_count()) {
    bad(folder, fmt::format("config.json describes {} parameters, the weights hold only {}",
                            config.parameter_count(), elements));
  }

  Decoder decoder = allocate(config, quantization, ranks, numbers, folder);
  std::set<std::string> known;
  for (Parameter& parameter : decoder.parameters()) {
    known.insert(parameter.name);
    const auto found = tensors.find(parameter.name);
    if (found == tensors.end()) {
      bad(folder, fmt::format("tensor \"{}\" is missing", parameter.name));
    }
    const auto& [file, entry] = found->second;
    if (entry->shape != parameter.whole_shape()) {
      bad(file->path(), fmt::format("\"{}\" has shape {}, config.json asks for {}", parameter.name,
                                    shape_text(entry->shape), shape_text(parameter.whole_shape())));
    }
  }
  for (const auto& [name, found] : tensors) {
    if (!known.contains(name) && !may_be_ignored(name, found, tensors, config.tie_embeddings)) {
      bad(found.file->path(), fmt::format("unexpected tensor \"{}\"", printable(name)));
    }
  }
  decoder.load([&](const Parameter& parameter, std::span<float> values) {
    const auto& [file, entry] = tensors.at(parameter.name);
    for_runs(
        parameter.part, 0, values.size(),
        [&, found = file, tensor = entry](std::size_t here, std::size_t there, std::size_t length) {
          found->read(*tensor, there, values.subspan(here, length));
        });
  });
  return decoder;
}

namespace {

std::vector<TensorToWrite> tensors_of(const Decoder& decoder) {
  const bool as_they_are = !decoder.quantization().format && decoder.lora() == nullptr &&
                           !decoder.gathers_layers() && decoder.numbers() == Numbers{};
  std::vector<TensorToWrite> tensors;
  for (std::size_t index = 0; index < decoder.parameters().size(); ++index) {
    const Parameter& parameter = decoder.parameters()[index];
    TensorToWrite& tensor =
        tensors.emplace_back(TensorToWrite{parameter.name, parameter.whole_shape(), {}});
    if (as_they_are && !parameter.part.is_cut()) {
      tensor.values = parameter.value;
      continue;
    }
    tensor.make = [&decoder, index](std::span<float> values) { decoder.read_whole(index, values); };
  }
  return tensors;
}

std::uint64_t bytes_of(const TensorToWrite& tensor, StorageType type) {
  std::uint64_t bytes = model::bytes_of(type);
  for (const std::int64_t size : tensor.shape) bytes *= static_cast<std::uint64_t>(size);
  return bytes;
}

/// In the order of the forward pass.
std::vector<std::vector<TensorToWrite>> cut_in_shards(std::span<const TensorToWrite> tensors,
                                                      const SaveOptions& options) {
  std::vector<std::vector<TensorToWrite>> shards(1);
  std::uint64_t shard_bytes = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::uint64_t bytes = bytes_of(tensor, options.type);
    if (!shards.back().empty() && shard_bytes + bytes > options.max_shard_bytes) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shards.back().push_back(tensor);
    shard_bytes += bytes;
  }
  return shards;
}

}  // namespace

Digests write_decoder_files(const fs::path& folder, const Decoder& decoder,
                            const SaveOptions& options, io::Disk& disk) {
  return write_decoder_files(folder, decoder.config(), tensors_of(decoder), options, disk);
}

void help_write_decoder(const Decoder& decoder, const SaveOptions& options) {
  for (const auto& shard : cut_in_shards(tensors_of(decoder), options)) {
    help_write_safetensors(shard, options.type);
  }
}

namespace {

/// config.json and the extra files; their digests come to the others.
void write_companions(const fs::path& folder, const DecoderConfig& config,
                      const SaveOptions& options, Digests& digests, io::Disk& disk) {
  const auto write_text = [&](const std::string& name, std::string_view text) {
    io::write_file_atomically(folder / name, text, disk);
    digests[name] = sha256_hex(text);
  };
  write_text(kConfig, dump_json_pretty(config_to_json(config, torch_name(options.type))));
  for (const auto& [name, content] : options.extra_files) {
    NATIVO_CHECK(is_plain_name(name) && !digests.contains(name) && name != kDigestsFile,
                 "extra files have names of their own");
    write_text(name, content);
  }
}

}  // namespace

Digests write_decoder_files(const fs::path& folder, const DecoderConfig& config,
                            std::span<const TensorToWrite> tensors, const SaveOptions& options,
                            io::Disk& disk) {
  Digests digests;
  const auto write_text = [&](const std::string& name, std::string_view text) {
    io::write_file_atomically(folder / name, text, disk);
    digests[name] = sha256_hex(text);
  };

  const auto shards = cut_in_shards(tensors, options);
  std::uint64_t total_bytes = 0;
  for (const TensorToWrite& tensor : tensors) total_bytes += bytes_of(tensor, options.type);
  Json weight_map = Json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        shards.size() == 1 ? kSingle
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    for (const TensorToWrite& tensor : shards[i]) weight_map[tensor.name] = name;
    digests[name] =
        write_safetensors(folder / name, shards[i], options.type, {{"format", "pt"}}, disk);
  }
  if (shards.size() > 1) {
    write_text(kIndex, dump_json_pretty({{"metadata", {{"total_size", total_bytes}}},
                                         {"weight_map", weight_map}}));
  }
  write_companions(folder, config, options, digests, disk);
  Json files = Json::object();
  for (const auto& [name, digest] : digests) files[name] = digest;
  write_text(kDigestsFile, dump_json_pretty({{"version", 1}, {"files", files}}));
  return digests;
}

Digests write_decoder_companions(const fs::path& folder, const DecoderConfig& config,
                                 const SaveOptions& options,
                                 const std::vector<io::RangeDigest>& weights, io::Disk& disk) {
  Digests digests;
  write_companions(folder, config, options, digests, disk);
  Json files = Json::object();
  for (const auto& [name, digest] : digests) files[name] = digest;
  files[kSingle] = {{"ranges", io::to_json(weights)}};
  const std::string text = dump_json_pretty({{"version", 2}, {"files", files}});
  io::write_file_atomically(folder / kDigestsFile, text, disk);
  digests[kDigestsFile] = sha256_hex(text);
  return digests;
}

void save_decoder(const fs::path& folder, const Decoder& decoder, const SaveOptions& options,
                  io::Disk& disk) {
  replace_folder(folder, "a model", disk,
                 [&](const fs::path& into) { write_decoder_files(into, decoder, options, disk); });
}

}  // namespace nativo::model
