#include "train/checkpoint.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "model/hf_directory.h"
#include "model/peft_adapter.h"
#include "model/safetensors.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kState = "state.json";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kLeftover = ".partial";
constexpr std::uint64_t kSmallFile = std::uint64_t{64} << 20;

std::string shown(const fs::path& path) { return printable(path.string()); }

[[noreturn]] void bad(const fs::path& path, const std::string& reason) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", shown(path), reason));
}

// The number in "step-00000100", or -1 for any other name.
std::int64_t step_in(std::string_view name) {
  if (!name.starts_with(kPrefix)) return -1;
  name.remove_prefix(kPrefix.size());
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size()) return -1;
  return step;
}

// Of a decoder with adapters, those alone are trained and saved.
const char* weights_file(const model::Decoder& decoder) {
  return decoder.lora() != nullptr ? model::kAdapterWeights : kModel;
}

model::Digests write_weights(const fs::path& folder, const TrainedTensors& tensors,
                             const std::map<std::string, std::string>& extra_files,
                             io::Disk& disk) {
  if (tensors.lora) {
    return model::write_adapter_files(folder, *tensors.lora, tensors.config, tensors.weights, "",
                                      disk);
  }
  return model::write_decoder_files(
      folder, tensors.config, tensors.weights,
      {.type = model::StorageType::kF32, .max_shard_bytes = UINT64_MAX, .extra_files = extra_files},
      disk);
}

// Of a thread that writes while others compute: these come first.
void lower_priority() {
  const int niceness = ::getpriority(PRIO_PROCESS, 0);  // on Linux, the calling thread's
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, niceness + 10));
}

// Throws Error when a file is missing, or its size or digest differs.
void verify(const fs::path& folder) {
  const fs::path path = folder / kManifest;
  const Json manifest = parse_json(io::read_file(path, kSmallFile), shown(path));
  if (!manifest.is_object() || !manifest.contains("version") || manifest["version"] != 1 ||
      !manifest.contains("files") || !manifest["files"].is_object()) {
    bad(path, "not a manifest of version 1");
  }
  const Json& files = manifest["files"];
  const char* weights = files.contains(kModel) ? kModel : model::kAdapterWeights;
  for (const char* name : {weights, kOptimizer, kState}) {
    if (!files.contains(name)) bad(path, fmt::format("{} is not listed", name));
  }
  for (const auto& [name, entry] : files.items()) {
    if (name.find('/') != std::string::npos || !entry.is_object() || !entry.contains("bytes") ||
        !entry.contains("sha256")) {
      bad(path, fmt::format("\"{}\" is not an entry of a manifest", printable(name)));
    }
    const fs::path file = folder / name;
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(file, error);
    if (error) bad(file, "missing");
    if (entry["bytes"] != bytes) bad(file, "its size is not the manifest's");
    if (entry["sha256"] != io::file_sha256(file)) bad(file, "its SHA-256 is not the manifest's");
  }
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

void read_tensors(const fs::path& folder, model::Decoder& decoder, Optimizer& optimizer) {
  const model::SafetensorsFile weights(folder / weights_file(decoder));
  for (model::Parameter& parameter : decoder.trainable()) {
    weights.read(find_tensor(weights, parameter.name, parameter.shape), parameter.value);
  }
  const model::SafetensorsFile state(folder / kOptimizer);
  for (const StateTensor& tensor : optimizer.state()) {
    const model::TensorEntry& entry = find_tensor(state, tensor.name, tensor.shape);
    if (entry.type != tensor.type) {
      bad(state.path(),
          fmt::format("tensor \"{}\" is {}, not {}", tensor.name,
                      model::safetensors_name(entry.type), model::safetensors_name(tensor.type)));
    }
    std::ranges::copy(state.bytes(entry), tensor.bytes.begin());
  }
}

}  // namespace

std::vector<std::int64_t> list_checkpoints(const fs::path& root) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::int64_t step = step_in(entry.path().filename().string());
    if (step >= 0) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

CheckpointStore::CheckpointStore(fs::path train_dir, std::string key, std::int64_t keep,
                                 io::Disk& disk)
    : train_dir_(std::move(train_dir)),
      root_(train_dir_ / "checkpoints"),
      key_(std::move(key)),
      keep_(std::max<std::int64_t>(keep, 1)),
      disk_(disk) {
  disk_.make_folders(root_);
  collect_leftovers();
}

fs::path CheckpointStore::folder(std::int64_t step) const {
  return root_ / fmt::format("{}{:08}", kPrefix, step);
}

void CheckpointStore::collect_leftovers() {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(root_)) {
    if (entry.path().filename().string().ends_with(kLeftover)) leftovers.push_back(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(train_dir_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("metrics.jsonl.tmp-") || name.starts_with("events.jsonl.tmp-")) {
      leftovers.push_back(entry.path());
    }
  }
  for (const fs::path& leftover : leftovers) disk_.remove_all(leftover);
}

void CheckpointStore::set_aside(const std::string& reason) {
  const fs::path previous = train_dir_ / "previous";
  log::info("{}: training starts anew, because {}; the old checkpoints are now in {}",
            shown(train_dir_), reason, shown(previous));
  disk_.remove_all(previous);
  disk_.rename(root_, previous);
  for (const char* name : {"metrics.jsonl", "events.jsonl"}) {
    if (fs::exists(train_dir_ / name)) disk_.rename(train_dir_ / name, previous / name);
  }
  disk_.make_folders(root_);
  disk_.sync_folder(train_dir_);
}

// The state in the checkpoint of `step`, whose files are whole; nothing when they are not (said)
// or, with `foreign` set, when its key is not this run's.
std::optional<TrainState> CheckpointStore::read(std::int64_t step, bool& foreign) const {
  const fs::path path = folder(step);
  try {
    verify(path);
  } catch (const Error& error) {
    log::warn("checkpoint {} is damaged and not used: {}", shown(path), error.what());
    return std::nullopt;
  }
  const Json json = parse_json(io::read_file(path / kState, kSmallFile), shown(path / kState));
  const TrainState state = train_state_from_json(json, (path / kState).native());
  if (state.step != step) bad(path / kState, "it is of another step than its folder");
  foreign = json.value("key", std::string()) != key_;
  if (foreign) return std::nullopt;
  return state;
}

std::optional<TrainState> CheckpointStore::load(model::Decoder& decoder, Optimizer& optimizer) {
  std::vector<std::int64_t> newest_first = steps();
  std::reverse(newest_first.begin(), newest_first.end());
  for (const std::int64_t step : newest_first) {
    bool foreign = false;
    const auto state = read(step, foreign);
    if (foreign) {
      set_aside("the model, the data or the options changed");
      return std::nullopt;
    }
    if (!state) continue;
    read_tensors(folder(step), decoder, optimizer);
    reached_ = step;
    return state;
  }
  if (!newest_first.empty()) {
    log::warn("{}: no checkpoint is whole; training starts from the beginning", shown(root_));
  }
  return std::nullopt;
}

std::optional<TrainState> CheckpointStore::load_at(model::Decoder& decoder, Optimizer& optimizer,
                                                   std::int64_t step) {
  wait();
  if (!fs::exists(folder(step))) return std::nullopt;
  bool foreign = false;
  const auto state = read(step, foreign);
  if (!state) return std::nullopt;
  read_tensors(folder(step), decoder, optimizer);
  reached_ = step;
  return state;
}

std::vector<std::int64_t> CheckpointStore::steps() {
  wait();
  return list_checkpoints(root_);
}

void CheckpointStore::save(const TrainState& state, const model::Decoder& decoder,
                           const Optimizer& optimizer,
                           const std::map<std::string, std::string>& extra_files) {
  wait();
  write(state, trained_tensors(decoder, optimizer), extra_files);
  reached_ = state.step;
}

void CheckpointStore::save_in_background(const TrainState& state, const model::Decoder& decoder,
                                         const Optimizer& optimizer,
                                         const std::map<std::string, std::string>& extra_files) {
  wait();
  const TrainedTensors& tensors = snapshot_.take(decoder, optimizer);
  reached_ = state.step;
  writing_ = std::async(std::launch::async, [this, state, &tensors, extra_files] {
    lower_priority();
    write(state, tensors, extra_files);
  });
}

void CheckpointStore::wait() {
  if (writing_.valid()) writing_.get();
}

void CheckpointStore::check() {
  if (writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    writing_.get();
  }
}

std::vector<std::int64_t> CheckpointStore::take_written() {
  const std::lock_guard lock(mutex_);
  return std::exchange(written_, {});
}

CheckpointStore::~CheckpointStore() {
  try {
    wait();
  } catch (const std::exception& error) {
    log::warn("{}: the last checkpoint could not be written: {}", shown(root_), error.what());
  }
}

void CheckpointStore::write(const TrainState& state, const TrainedTensors& tensors,
                            const std::map<std::string, std::string>& extra_files) {
  const fs::path target = folder(state.step);
  fs::path temporary = target;
  temporary += kLeftover;
  try {
    disk_.remove_all(temporary);
    disk_.make_folders(temporary);
    model::Digests digests = write_weights(temporary, tensors, extra_files, disk_);
    digests[kOptimizer] = model::write_safetensors(temporary / kOptimizer, tensors.optimizer,
                                                   model::StorageType::kF32, {}, disk_);
    Json json = to_json(state);
    json["key"] = key_;
    const std::string text = dump_json_pretty(json);
    io::write_file_atomically(temporary / kState, text, disk_);
    digests[kState] = sha256_hex(text);
    Json files = Json::object();
    for (const auto& [name, digest] : digests) {
      files[name] = {{"bytes", fs::file_size(temporary / name)}, {"sha256", digest}};
    }
    io::write_file_atomically(temporary / kManifest,
                              dump_json_pretty({{"version", 1}, {"files", files}}), disk_);
    io::commit_folder(temporary, target, disk_);
  } catch (...) {
    std::error_code ignored;  // gives the space back; what stays is collected at the next start
    fs::remove_all(temporary, ignored);
    throw;
  }
  {
    const std::lock_guard lock(mutex_);
    written_.push_back(state.step);
  }
  // Later steps are damaged ones that were passed over; the run has another future now.
  for (const std::int64_t step : list_checkpoints(root_)) {
    if (step > state.step) remove(step);
  }
  evict_before(state.step);
}

void CheckpointStore::protect(std::optional<std::int64_t> step) {
  const std::lock_guard lock(mutex_);
  protected_ = step;
}

void CheckpointStore::evict() {
  wait();
  evict_before(reached_);
}

void CheckpointStore::evict_before(std::int64_t newest) {
  std::vector<std::int64_t> old = list_checkpoints(root_);
  // Later ones are damaged, or of a future that was given up: they must not count as kept.
  std::erase_if(old, [&](std::int64_t step) { return step > newest; });
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep_) < old.size(); ++i) {
    const std::lock_guard lock(mutex_);
    if (old[i] != protected_) remove(old[i]);
  }
}

void CheckpointStore::remove(std::int64_t step) {
  fs::path leftover = folder(step);
  leftover += kLeftover;
  disk_.remove_all(leftover);
  disk_.rename(folder(step),
               leftover);  // so that a half-removed one is never taken for a whole one
  disk_.remove_all(leftover);
}

}  // namespace nativo::train
