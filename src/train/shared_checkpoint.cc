#include "train/shared_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "io/range_digest.h"
#include "model/hf_directory.h"
#include "model/peft_adapter.h"
#include "train/checkpoint_files.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void SharedCheckpoint::begin(const fs::path& folder, std::string state,
                             const model::Decoder& decoder, const Optimizer& optimizer,
                             const std::map<std::string, std::string>& extra_files, bool copies) {
  describe(decoder, extra_files);
  parts_ = {};  // gives memory back before it takes more
  begin(folder, std::move(state), checkpoint_parts(parallel_, decoder, optimizer));
  if (copies) {
    std::vector<std::span<const std::byte>*> spans;
    for (CheckpointRange& range : parts_.ranges) {
      if (!range.stays) spans.push_back(&range.bytes);
    }
    snapshot_.begin(spans);
  }
  parallel_.grid().world().barrier();  // the files are there
}

void SharedCheckpoint::begin(const fs::path& folder, std::string state,
                             const model::Decoder& decoder,
                             const std::map<std::string, std::string>& extra_files,
                             CheckpointParts parts) {
  describe(decoder, extra_files);
  begin(folder, std::move(state), std::move(parts));
  parallel_.grid().world().barrier();
}

void SharedCheckpoint::describe(const model::Decoder& decoder,
                                const std::map<std::string, std::string>& extra_files) {
  extra_files_ = extra_files;
  config_ = decoder.config();
  lora_.reset();
  if (decoder.lora() != nullptr) lora_ = *decoder.lora();
}

void SharedCheckpoint::begin(const fs::path& folder, std::string state, CheckpointParts parts) {
  folder_ = folder;
  state_ = std::move(state);
  parts_ = std::move(parts);
  digests_.clear();
  if (!parallel_.is_root()) return;
  disk_.remove_all(folder_);
  disk_.make_folders(folder_);
  for (const auto& [name, bytes] : parts_.files) disk_.create(folder_ / name)->close();
}

void SharedCheckpoint::write() {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::set<std::string> written;
  bool is_copied = false;
  for (const CheckpointRange& range : parts_.ranges) {
    const auto file = disk_.write_at(folder_ / range.file, range.begin);
    // All of it at once: the training's next update is to find it done.
    if (!std::exchange(is_copied, true)) snapshot_.finish();
    Sha256 digest;
    for (std::size_t at = 0; at < range.bytes.size(); at += kPiece) {
      const auto part = text_of(range.bytes.subspan(at, std::min(kPiece, range.bytes.size() - at)));
      digest.update(part);
      file->write(part);
    }
    digests_.push_back(digest.hex());
    file->close();
    written.insert(range.file);
  }
  for (const std::string& name : written) {
    const auto file = disk_.write_at(folder_ / name, 0);
    file->sync();
    file->close();
  }
}

void SharedCheckpoint::gather() {
  Json mine = Json::array();
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    const CheckpointRange& range = parts_.ranges[i];
    mine.push_back({range.file, range.begin, range.begin + range.bytes.size(), digests_[i]});
  }
  written_ = dist::all_gather_text(parallel_.grid().world(), dump_json(mine));
}

Json SharedCheckpoint::finish() {
  std::map<std::string, std::vector<io::RangeDigest>> ranges;
  for (const std::string& text : written_) {
    for (const Json& entry : parse_json(text, "what a rank has written")) {
      ranges[entry[0].get<std::string>()].push_back({entry[1].get<std::uint64_t>(),
                                                     entry[2].get<std::uint64_t>(),
                                                     entry[3].get<std::string>()});
    }
  }
  Json files = Json::object();
  for (const auto& [name, bytes] : parts_.files) {
    const Json list = io::to_json(ranges[name]);
    const auto covered = io::ranges_from_json(list, name);
    NATIVO_CHECK(!covered.empty() && covered.back().end == bytes,
                 "the ranks' ranges are the whole file");
    files[name] = {{"bytes", bytes}, {"ranges", list}};
  }
  model::Digests digests;
  if (lora_) {
    digests = model::write_adapter_config(folder_, *lora_, config_, "", disk_);
  } else {
    digests = model::write_decoder_companions(
        folder_, config_, {.type = model::StorageType::kF32, .extra_files = extra_files_},
        ranges[kCheckpointModel], disk_);
  }
  io::write_file_atomically(folder_ / kCheckpointState, state_, disk_);
  digests[kCheckpointState] = sha256_hex(state_);
  for (const auto& [name, digest] : digests) {
    files[name] = {{"bytes", fs::file_size(folder_ / name)}, {"sha256", digest}};
  }
  return files;
}

}  // namespace nativo::train
