#include "train/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/range_digest.h"
#include "model/peft_adapter.h"
#include "model/safetensors.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

std::string shown(const fs::path& path) { return printable(path.string()); }

[[noreturn]] void bad(const fs::path& path, const std::string& reason) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", shown(path), reason));
}

const model::TensorEntry& find_tensor(const model::SafetensorsFile& file, const std::string& name,
                                      const std::vector<std::int64_t>& shape) {
  const model::TensorEntry* entry = file.find(name);
  if (entry == nullptr || entry->shape != shape) {
    bad(file.path(),
        fmt::format("tensor \"{}\" of shape {} is not in it", name, model::shape_text(shape)));
  }
  return *entry;
}

void verify_entry(const fs::path& manifest, const fs::path& file, const Json& entry,
                  io::Turns& turns) {
  if (!entry.is_object() || !entry.contains("bytes") ||
      entry.contains("sha256") == entry.contains("ranges")) {
    bad(manifest, fmt::format("\"{}\" is not an entry of a manifest", shown(file.filename())));
  }
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(file, error);
  if (error) bad(file, "missing");
  if (entry["bytes"] != bytes) bad(file, "its size is not the manifest's");
  if (entry.contains("ranges")) {
    io::check_ranges(file, io::ranges_from_json(entry["ranges"], shown(manifest)), turns);
  } else if (turns.is_mine() && entry["sha256"] != io::file_sha256(file)) {
    bad(file, "its SHA-256 is not the manifest's");
  }
}

}  // namespace

const char* checkpoint_weights(bool adapters) {
  return adapters ? model::kAdapterWeights : kCheckpointModel;
}

bool is_checkpoint_file(const std::string& name) {
  return name == kCheckpointOptimizer || name == checkpoint_weights(false) ||
         name == checkpoint_weights(true);
}

std::string checkpoint_manifest(const Json& files) {
  const bool has_ranges =
      std::ranges::any_of(files, [](const Json& entry) { return entry.contains("ranges"); });
  return dump_json_pretty({{"version", has_ranges ? 2 : 1}, {"files", files}});
}

void verify_checkpoint(const fs::path& folder, io::Turns turns) {
  const fs::path path = folder / kCheckpointManifest;
  const Json manifest = parse_json(io::read_file(path, kCheckpointSmallFile), shown(path));
  const Json version = manifest.is_object() ? manifest.value("version", Json()) : Json();
  if ((version != 1 && version != 2) || !manifest.contains("files") ||
      !manifest["files"].is_object()) {
    bad(path, "not a manifest of version 1 or 2");
  }
  const Json& files = manifest["files"];
  for (const char* name : {checkpoint_weights(!files.contains(kCheckpointModel)),
                           kCheckpointOptimizer, kCheckpointState}) {
    if (!files.contains(name)) bad(path, fmt::format("{} is not listed", name));
  }
  for (const auto& [name, entry] : files.items()) {
    if (name.find('/') != std::string::npos) {
      bad(path, fmt::format("\"{}\" is not an entry of a manifest", printable(name)));
    }
    verify_entry(path, folder / name, entry, turns);
  }
}

void read_checkpoint(const fs::path& folder, model::Decoder& decoder, Optimizer& optimizer,
                     std::span<const model::Slice> weights) {
  const model::SafetensorsFile file(folder / checkpoint_weights(decoder.lora() != nullptr));
  for (const model::Slice& slice : weights) {
    const model::Parameter& parameter = decoder.trainable()[slice.parameter];
    const model::TensorEntry& entry = find_tensor(file, parameter.name, parameter.whole_shape());
    model::for_runs(parameter.part, slice.begin, slice.count,
                    [&](std::size_t here, std::size_t there, std::size_t length) {
                      if (!parameter.value.empty()) {
                        file.read(entry, there, parameter.value.subspan(here, length));
                        return;
                      }
                      std::vector<float> values(length);
                      file.read(entry, there, values);
                      tensor::write(values, tensor::part(parameter.stored, here, length));
                    });
  }
  const model::SafetensorsFile state(folder / kCheckpointOptimizer);
  for (const StateTensor& tensor : optimizer.state()) {
    const model::TensorEntry& entry = find_tensor(state, tensor.name, tensor.whole_shape());
    if (entry.type != tensor.type) {
      bad(state.path(),
          fmt::format("tensor \"{}\" is {}, not {}", tensor.name,
                      model::safetensors_name(entry.type), model::safetensors_name(tensor.type)));
    }
    const std::size_t size = model::bytes_of(tensor.type);
    const std::size_t first = tensor.begin / size;
    model::for_runs(tensor.part, first, tensor.bytes.size() / size,
                    [&](std::size_t here, std::size_t there, std::size_t length) {
                      tensor::copy_bytes(
                          tensor.device, tensor.bytes.subspan((here - first) * size).data(), {},
                          state.bytes(entry).subspan(there * size).data(), length * size);
                    });
  }
}

}  // namespace nativo::train
