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

void SharedCheckpoint::plan_files(const model::Decoder& decoder, const Optimizer& optimizer) {
  const auto add = [&](const std::string& name, const std::vector<model::TensorToWrite>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
    model::SafetensorsLayout layout =
        model::safetensors_layout(tensors, model::StorageType::kF32, metadata);
    files_[name] = {std::move(layout.head), std::move(layout.offsets), layout.bytes};
  };
  std::vector<model::TensorToWrite> weights;
  for (const model::Parameter& parameter : decoder.trainable()) {
    weights.push_back({.name = parameter.name, .shape = parameter.whole_shape(), .values = {}});
  }
  add(checkpoint_weights(lora_.has_value()), weights, {{"format", "pt"}});
  std::vector<model::TensorToWrite> moments;
  for (const StateTensor& tensor : state_tensors(decoder.trainable(), optimizer.type())) {
    moments.push_back({.name = tensor.name,
                       .shape = tensor.whole_shape(),
                       .values = {},
                       .stored = model::StoredValues{tensor.type, {}}});
  }
  add(kCheckpointOptimizer, moments, {});
}

void SharedCheckpoint::plan_ranges(const model::Decoder& decoder, const Optimizer& optimizer) {
  const char* weights = checkpoint_weights(lora_.has_value());
  std::map<std::size_t, model::Slice> own;  // by parameter
  for (const model::Slice& slice : parallel_.own_slices()) {
    own[slice.parameter] = slice;
    const model::Parameter& parameter = decoder.trainable()[slice.parameter];
    add({weights, parameter.name, &parameter.part, sizeof(float), slice.begin,
         std::as_bytes(parameter.value.subspan(slice.begin, slice.count))});
  }
  for (const StateTensor& tensor : optimizer.state()) {
    const auto found = own.find(tensor.parameter);
    if (found == own.end()) continue;  // held here, but another rank's to write
    const std::size_t size = model::bytes_of(tensor.type);
    const std::size_t first = found->second.begin / tensor.block;
    const std::size_t count = (found->second.count + tensor.block - 1) / tensor.block;
    add({kCheckpointOptimizer, tensor.name, &tensor.part, size, first,
         std::span<const std::byte>(tensor.bytes)
             .subspan(first * size - tensor.begin, count * size)});
  }
  if (!parallel_.is_root()) return;
  for (const auto& [name, file] : files_) {
    ranges_.push_back({name, 0, std::as_bytes(std::span(file.head))});
  }
}

void SharedCheckpoint::add(const Numbers& numbers) {
  const bool is_whole = !numbers.part->is_cut();
  // What all tensor-parallel ranks have, the first of them writes.
  if (is_whole && !parallel_.grid().tensor().is_root()) return;
  if (!is_whole && !numbers.part->is_rows()) return add_columns(numbers);
  const std::uint64_t first = numbers.part->begin + numbers.first;
  ranges_.push_back({numbers.file,
                     files_.at(numbers.file).offsets.at(numbers.tensor) + first * numbers.size,
                     numbers.bytes});
}

/// Whole rows are shared out among the ranks that have columns of them; of the first and the last
/// row, which may belong to other ranks in part, each writes its own.
void SharedCheckpoint::add_columns(const Numbers& numbers) {
  const model::TensorPart& part = *numbers.part;
  const std::uint64_t offset = files_.at(numbers.file).offsets.at(numbers.tensor);
  const std::size_t end = numbers.first + numbers.bytes.size() / numbers.size;
  const std::size_t begin_rows =
      std::min(end, (numbers.first + part.run - 1) / part.run * part.run);
  const std::size_t end_rows = std::max(begin_rows, end / part.run * part.run);
  const auto bytes_of = [&](std::size_t from, std::size_t to) {
    return numbers.bytes.subspan((from - numbers.first) * numbers.size, (to - from) * numbers.size);
  };
  const auto add_piece = [&](std::size_t from, std::size_t to) {
    if (from == to) return;
    const std::size_t there = from / part.run * part.stride + part.begin + from % part.run;
    ranges_.push_back({numbers.file, offset + there * numbers.size, bytes_of(from, to)});
  };
  add_piece(numbers.first, begin_rows);
  add_piece(end_rows, end);
  Numbers rows = numbers;
  rows.first = begin_rows;
  rows.bytes = bytes_of(begin_rows, end_rows);
  if (begin_rows < end_rows) assemble(rows, offset);
}

/// Collective over the ranks that have the rows' other columns.
void SharedCheckpoint::assemble(const Numbers& rows, std::uint64_t offset) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes of a rank at a time
  dist::Communicator& ranks = parallel_.grid().tensor();
  const auto me = static_cast<std::size_t>(ranks.rank());
  const std::size_t here = rows.part->run * rows.size;  // bytes of a row
  const std::size_t there = rows.part->stride * rows.size;
  const std::size_t count = rows.bytes.size() / here;
  const std::vector<dist::Part> shares = dist::even_parts(count, ranks.size());
  const dist::Part mine = shares[me];
  std::vector<std::byte>& assembled = assembled_.emplace_back(mine.count * there);
  const std::size_t most = std::max<std::size_t>(1, kPiece / here);
  std::vector<std::byte> pieces;
  for (std::size_t row = 0; row < count; row += most) {
    const std::size_t some = std::min(most, count - row);
    pieces.resize(shares.size() * some * here);
    std::vector<dist::Part> parts;
    for (std::size_t r = 0; r < shares.size(); ++r) {
      parts.push_back({r * some * here, some * here});
    }
    std::ranges::copy(rows.bytes.subspan(row * here, some * here),
                      std::span(pieces).subspan(parts[me].begin).begin());
    ranks.all_gather(std::span(pieces), parts);
    for (std::size_t i = std::max(row, mine.begin);
         i < std::min(row + some, mine.begin + mine.count); ++i) {
      for (std::size_t r = 0; r < shares.size(); ++r) {
        std::copy_n(pieces.data() + parts[r].begin + (i - row) * here, here,
                    assembled.data() + (i - mine.begin) * there + r * here);
      }
    }
  }
  if (mine.count == 0) return;
  const std::uint64_t first = rows.first / rows.part->run + mine.begin;
  ranges_.push_back({rows.file, offset + first * there, assembled, true});
}

void SharedCheckpoint::begin(const fs::path& folder, std::string state,
                             const model::Decoder& decoder, const Optimizer& optimizer,
                             const std::map<std::string, std::string>& extra_files, bool copies) {
  folder_ = folder;
  state_ = std::move(state);
  extra_files_ = extra_files;
  config_ = decoder.config();
  lora_.reset();
  if (decoder.lora() != nullptr) lora_ = *decoder.lora();
  ranges_.clear();
  assembled_.clear();
  files_.clear();
  plan_files(decoder, optimizer);
  plan_ranges(decoder, optimizer);
  std::ranges::sort(ranges_, {}, [](const Range& range) {
    return std::pair(std::string_view(range.file), range.begin);
  });
  if (copies) {
    std::vector<std::span<const std::byte>*> spans;
    for (Range& range : ranges_) {
      if (!range.is_copy) spans.push_back(&range.bytes);
    }
    snapshot_.take(spans);
  }
  if (parallel_.is_root()) {
    disk_.remove_all(folder_);
    disk_.make_folders(folder_);
    for (const auto& [name, file] : files_) disk_.create(folder_ / name)->close();
  }
  parallel_.grid().world().barrier();  // the files are there
}

void SharedCheckpoint::write() {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::set<std::string> written;
  for (Range& range : ranges_) {
    const auto file = disk_.write_at(folder_ / range.file, range.begin);
    Sha256 digest;
    for (std::size_t at = 0; at < range.bytes.size(); at += kPiece) {
      const auto part = text_of(range.bytes.subspan(at, std::min(kPiece, range.bytes.size() - at)));
      digest.update(part);
      file->write(part);
    }
    range.sha256 = digest.hex();
    file->close();
    written.insert(range.file);
  }
  for (const std::string& name : written) {
    const auto file = disk_.write_at(folder_ / name, 0);
    file->sync();
    file->close();
  }
}

Json SharedCheckpoint::finish() {
  Json mine = Json::array();
  for (const Range& range : ranges_) {
    mine.push_back({range.file, range.begin, range.begin + range.bytes.size(), range.sha256});
  }
  const std::vector<std::string> all =
      dist::all_gather_text(parallel_.grid().world(), dump_json(mine));
  if (!parallel_.is_root()) return {};
  std::map<std::string, std::vector<io::RangeDigest>> ranges;
  for (const std::string& text : all) {
    for (const Json& entry : parse_json(text, "what a rank has written")) {
      ranges[entry[0].get<std::string>()].push_back({entry[1].get<std::uint64_t>(),
                                                     entry[2].get<std::uint64_t>(),
                                                     entry[3].get<std::string>()});
    }
  }
  Json files = Json::object();
  for (const auto& [name, file] : files_) {
    const Json list = io::to_json(ranges[name]);
    const auto covered = io::ranges_from_json(list, name);
    NATIVO_CHECK(!covered.empty() && covered.back().end == file.bytes,
                 "the ranks' ranges are the whole file");
    files[name] = {{"bytes", file.bytes}, {"ranges", list}};
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
