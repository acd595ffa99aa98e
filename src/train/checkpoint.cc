#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <set>
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
#include "train/background.h"
#include "train/checkpoint_files.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kLeftover = ".partial";

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

void verify_share(dist::Communicator& ranks, const fs::path& folder) {
  std::string failure;
  try {
    verify_checkpoint(folder, {ranks.rank(), ranks.size()});
  } catch (const std::exception& error) {
    failure = error.what();
  }
  for (const std::string& text : dist::all_gather_text(ranks, failure)) {
    if (!text.empty()) throw Error(ExitCode::kData, text);
  }
}

/// Fails on all ranks when `failure` is there on one: with it there, and with what it says on the
/// others, which would wait for that rank.
void fail_together(dist::Communicator& ranks, const std::exception_ptr& failure) {
  std::string words;
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    words = fmt::format("rank {}: {}", ranks.rank(), error.what());
  }
  const std::vector<std::string> all = dist::all_gather_text(ranks, words);
  if (failure) std::rethrow_exception(failure);
  for (const std::string& text : all) {
    if (!text.empty()) throw Error(ExitCode::kTryAgain, text);
  }
}

/// What `body` fails with.
template <class Body>
std::exception_ptr failure_of(const Body& body) {
  try {
    body();
  } catch (...) {
    return std::current_exception();
  }
  return {};
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
                                 io::Disk& disk, DataParallel* parallel)
    : train_dir_(std::move(train_dir)),
      root_(train_dir_ / "checkpoints"),
      fence_(train_dir_),
      key_(std::move(key)),
      keep_(std::max<std::int64_t>(keep, 1)),
      disk_(disk),
      parallel_(parallel) {
  if (parallel_ != nullptr && !parallel_->is_alone()) shared_.emplace(*parallel_, disk_);
  if (!is_root()) return;
  fence_.check();
  disk_.make_folders(root_);
  collect_leftovers();
}

fs::path CheckpointStore::folder(std::int64_t step) const {
  return root_ / fmt::format("{}{:08}", kPrefix, step);
}

fs::path CheckpointStore::temporary(std::int64_t step) const {
  fs::path path = folder(step);
  if (fence_.restart() > 0) path += fmt::format(".start-{}", fence_.restart());
  path += kLeftover;
  return path;
}

void CheckpointStore::collect_leftovers() {
  io::recover_commits(root_, disk_);
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
  const Json json = parse_json(io::read_file(path / kCheckpointState, kCheckpointSmallFile),
                               shown(path / kCheckpointState));
  const TrainState state = train_state_from_json(json, (path / kCheckpointState).native());
  if (state.step != step) bad(path / kCheckpointState, "it is of another step than its folder");
  foreign = json.value("key", Json()) != key_;
  if (foreign) return std::nullopt;
  return state;
}

std::optional<TrainState> CheckpointStore::find_newest() {
  std::vector<std::int64_t> newest_first = list_checkpoints(root_);
  std::reverse(newest_first.begin(), newest_first.end());
  for (const std::int64_t step : newest_first) {
    bool foreign = false;
    const auto state = read(step, foreign);
    if (foreign) {
      set_aside("the model, the data or the options changed");
      return std::nullopt;
    }
    if (state) return state;
  }
  if (!newest_first.empty()) {
    log::warn("{}: no checkpoint is whole; training starts from the beginning", shown(root_));
  }
  return std::nullopt;
}

std::optional<TrainState> CheckpointStore::find_at(std::int64_t step) const {
  bool foreign = false;
  if (!fs::exists(folder(step))) return std::nullopt;
  return read(step, foreign);
}

// Of several ranks the first says which folder, and all hash their share of it.
void CheckpointStore::verify(const fs::path& folder) const {
  if (!shared_) return verify_checkpoint(folder);
  static_cast<void>(dist::broadcast_text(parallel_->grid().world(), folder.native(), 0));
  verify_share(parallel_->grid().world(), folder);
}

void CheckpointStore::help_verify() const {
  for (;;) {
    const fs::path folder = dist::broadcast_text(parallel_->grid().world(), "", 0);
    if (folder.empty()) return;
    try {
      verify_share(parallel_->grid().world(), folder);
    } catch (const Error&) {  // the first rank says what is to be done
    }
  }
}

// What the first rank finds, all load.
template <class Find, class TakeOver>
std::optional<TrainState> CheckpointStore::load_found(model::Decoder& decoder, Optimizer& optimizer,
                                                      const Find& find, const TakeOver& take_over) {
  wait();
  std::optional<TrainState> state;
  if (!shared_) {
    state = find();
  } else {
    dist::Communicator& ranks = parallel_->grid().world();
    const double limit = ranks.timeout();
    ranks.set_timeout(0.0);  // large files take long to verify
    std::exception_ptr failure;
    if (is_root()) {
      failure = failure_of([&] { state = find(); });
      static_cast<void>(dist::broadcast_text(ranks, "", 0));
    } else {
      help_verify();
    }
    ranks.set_timeout(limit);
    fail_together(ranks, failure);
    const std::string text =
        dist::broadcast_text(ranks, state ? dump_json(to_json(*state)) : std::string(), 0);
    if (!text.empty()) state = train_state_from_json(parse_json(text, "the first rank"), "state");
  }
  state = take_over(state);
  if (!state) return std::nullopt;
  const std::vector<model::Slice> all = model::whole_slices(std::as_const(decoder).trainable());
  read_checkpoint(folder(state->step), decoder, optimizer,
                  shared_ ? parallel_->updated_slices() : std::span<const model::Slice>(all));
  if (shared_) parallel_->gather_parameters();
  reached_ = state->step;
  return state;
}

std::optional<TrainState> CheckpointStore::load(
    model::Decoder& decoder, Optimizer& optimizer, NeighbourMemory* memory,
    const std::map<std::string, std::string>& extra_files) {
  return load_found(
      decoder, optimizer, [&] { return find_newest(); },
      [&](const std::optional<TrainState>& state) {
        return memory == nullptr ? state : take_over(*memory, state, decoder, extra_files);
      });
}

std::optional<TrainState> CheckpointStore::take_over(
    NeighbourMemory& memory, const std::optional<TrainState>& state, const model::Decoder& decoder,
    const std::map<std::string, std::string>& extra_files) {
  std::optional<FoundState> found = memory.find(state ? state->step : 0);
  if (found) {
    const bool is_alone = !shared_;  // of itself it would write without
    if (is_alone) shared_.emplace(*parallel_, disk_);
    sharing_ = found->step;
    shared_->begin(temporary(found->step), found->state, decoder, extra_files,
                   std::move(found->parts));
    is_loading_ = true;
    write_shared();
    is_loading_ = false;
    if (is_alone) shared_.reset();
  }
  memory.sweep();
  if (!found) return state;
  if (is_root()) {
    log::info("{}: the state of step {} was in the ranks' memory; it is a checkpoint now",
              shown(folder(found->step)), found->step);
  }
  return train_state_from_json(parse_json(found->state, "state"), "state");
}

std::optional<TrainState> CheckpointStore::load_at(model::Decoder& decoder, Optimizer& optimizer,
                                                   std::int64_t step) {
  return load_found(
      decoder, optimizer, [&] { return find_at(step); },
      [](const std::optional<TrainState>& state) { return state; });
}

std::vector<std::int64_t> CheckpointStore::steps() {
  wait();
  return list_checkpoints(root_);
}

void CheckpointStore::save(const TrainState& state, const model::Decoder& decoder,
                           const Optimizer& optimizer,
                           const std::map<std::string, std::string>& extra_files) {
  wait();
  if (shared_) {
    begin_shared(state, decoder, optimizer, extra_files, /*copies=*/false);
    return write_shared();
  }
  write(state,
        decoder.numbers().device.is_cuda() ? snapshot_.begin(decoder, optimizer)
                                           : trained_tensors(decoder, optimizer),
        extra_files);
  reached_ = state.step;
}

void CheckpointStore::save_in_background(const TrainState& state, const model::Decoder& decoder,
                                         const Optimizer& optimizer,
                                         const std::map<std::string, std::string>& extra_files) {
  wait();
  if (shared_) {
    begin_shared(state, decoder, optimizer, extra_files, /*copies=*/true);
    write_in_background([this] { shared_->write(); });
    return;
  }
  const TrainedTensors& tensors = snapshot_.begin(decoder, optimizer);
  reached_ = state.step;
  write_in_background([this, state, &tensors, extra_files] { write(state, tensors, extra_files); });
}

void CheckpointStore::write_in_background(std::function<void()> body) {
  writing_ = std::async(std::launch::async, [body = std::move(body)] {
    lower_priority();
    body();
  });
}

void CheckpointStore::before_change(std::span<const std::byte> bytes) {
  shared_ ? shared_->before_change(bytes) : snapshot_.before_change(bytes);
}

void CheckpointStore::begin_shared(const TrainState& state, const model::Decoder& decoder,
                                   const Optimizer& optimizer,
                                   const std::map<std::string, std::string>& extra_files,
                                   bool copies) {
  shared_->begin(temporary(state.step), state_text(state), decoder, optimizer, extra_files, copies);
  reached_ = state.step;
  sharing_ = state.step;
}

void CheckpointStore::write_shared() {
  fail_together(parallel_->grid().world(), failure_of([&] { shared_->write(); }));
  end_shared();
}

// What the first rank does when all have written.
void CheckpointStore::commit_shared() { commit(*sharing_, shared_->finish()); }

// The ranks have acknowledged what they have written when all of them have come here.
void CheckpointStore::end_shared() {
  if (!is_gathered_) {
    shared_->gather();
    if (is_root()) commit_shared();
  }
  is_gathered_ = false;
  sharing_.reset();
  parallel_->grid().world().barrier();  // none ends before it has its name
}

void CheckpointStore::wait() {
  if (writing_.valid()) writing_.get();
  if (sharing_) end_shared();
}

void CheckpointStore::check() {
  const bool is_over =
      writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  if (is_over) writing_.get();
  if (!sharing_) return;
  // Over on this rank, now or before; on all when on each.
  if (dist::any_rank(parallel_->grid().world(), writing_.valid())) return;
  if (is_gathered_) return end_shared();
  shared_->gather();
  is_gathered_ = true;
  if (is_root()) write_in_background([this] { commit_shared(); });
}

bool CheckpointStore::is_writing() const {
  if (shared_) return sharing_.has_value();
  return writing_.valid() &&
         writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

std::vector<std::int64_t> CheckpointStore::take_written() {
  const std::lock_guard lock(mutex_);
  return std::exchange(written_, {});
}

CheckpointStore::~CheckpointStore() {
  try {
    if (writing_.valid()) writing_.get();
  } catch (const std::exception& error) {
    log::warn("{}: the last checkpoint could not be written: {}", shown(root_), error.what());
  }
}

void CheckpointStore::write(const TrainState& state, const TrainedTensors& tensors,
                            const std::map<std::string, std::string>& extra_files) {
  const fs::path into = temporary(state.step);
  try {
    disk_.remove_all(into);
    disk_.make_folders(into);
    snapshot_.finish();
    model::Digests digests = write_weights(into, tensors, extra_files, disk_);
    digests[kCheckpointOptimizer] = model::write_safetensors(
        into / kCheckpointOptimizer, tensors.optimizer, model::StorageType::kF32, {}, disk_);
    const std::string text = state_text(state);
    io::write_file_atomically(into / kCheckpointState, text, disk_);
    digests[kCheckpointState] = sha256_hex(text);
    Json files = Json::object();
    for (const auto& [name, digest] : digests) {
      files[name] = {{"bytes", fs::file_size(into / name)}, {"sha256", digest}};
    }
    commit(state.step, files);
  } catch (...) {
    std::error_code ignored;  // gives the space back; what stays is collected at the next start
    fs::remove_all(into, ignored);
    throw;
  }
}

std::string CheckpointStore::state_text(const TrainState& state) const {
  Json json = to_json(state);
  json["key"] = key_;
  return dump_json_pretty(json);
}

// The folder gets its manifest, then its name.
void CheckpointStore::commit(std::int64_t step, const Json& files) {
  const fs::path from = temporary(step);
  io::write_file_atomically(from / kCheckpointManifest, checkpoint_manifest(files), disk_);
  fence_.check();
  io::commit_folder(from, folder(step), disk_);
  {
    const std::lock_guard lock(mutex_);
    written_.push_back(step);
  }
  // Later steps are damaged ones that were passed over; the run has another future now.
  for (const std::int64_t later : list_checkpoints(root_)) {
    if (later > step) remove(later);
  }
  if (!is_loading_) evict_before(step);
}

void CheckpointStore::protect(std::optional<std::int64_t> step) {
  const std::lock_guard lock(mutex_);
  protected_ = step;
}

void CheckpointStore::evict() {
  wait();
  if (is_root()) evict_before(reached_);
}

void CheckpointStore::evict_before(std::int64_t newest) {
  std::vector<std::int64_t> old = list_checkpoints(root_);
  // Later ones are damaged, or of a future that was given up: they must not count as kept.
  std::erase_if(old, [&](std::int64_t step) { return step > newest; });
  const auto count = std::min(static_cast<std::size_t>(keep_), old.size());
  std::set<std::int64_t> kept(old.end() - static_cast<std::ptrdiff_t>(count), old.end());
  {
    const std::lock_guard lock(mutex_);
    if (protected_) kept.insert(*protected_);
  }
  for (const std::int64_t step : std::vector(kept.begin(), kept.end())) {
    if (const auto best = best_named_by(step)) kept.insert(*best);
  }
  for (const std::int64_t step : old) {
    if (!kept.contains(step)) remove(step);
  }
}

// Nothing, too, of a checkpoint that cannot be read: nobody will go on from it.
std::optional<std::int64_t> CheckpointStore::best_named_by(std::int64_t step) const {
  const fs::path path = folder(step) / kCheckpointState;
  try {
    const Json json = parse_json(io::read_file(path, kCheckpointSmallFile), shown(path));
    const TrainState state = train_state_from_json(json, path.native());
    if (state.best) return state.best->step;
  } catch (const Error&) {
  }
  return std::nullopt;
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
