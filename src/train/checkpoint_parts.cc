#include "train/checkpoint_parts.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "dist/communicator.h"
#include "model/safetensors.h"
#include "tensor/device_memory.h"
#include "train/checkpoint_files.h"

namespace nativo::train {
namespace {

/// Numbers of one tensor that this rank has, of `size` bytes each: from number `first` of its part
/// on.
struct Numbers {
  std::string file;
  std::string tensor;
  const model::TensorPart* part = nullptr;
  std::size_t size = 0;
  std::size_t first = 0;
  std::span<const std::byte> bytes;
  bool stays = false;  ///< see CheckpointRange
};

class Planner {
 public:
  Planner(DataParallel& parallel, const model::Decoder& decoder, const Optimizer& optimizer)
      : parallel_(parallel), weights_(checkpoint_weights(decoder.lora() != nullptr)) {
    plan_files(decoder, optimizer);
    plan_ranges(decoder, optimizer);
    std::ranges::sort(parts_.ranges, {}, [](const CheckpointRange& range) {
      return std::pair(std::string_view(range.file), range.begin);
    });
  }

  CheckpointParts take() { return std::move(parts_); }

 private:
  void plan_files(const model::Decoder& decoder, const Optimizer& optimizer);
  void plan_ranges(const model::Decoder& decoder, const Optimizer& optimizer);
  void add_file(const std::string& name, const std::vector<model::TensorToWrite>& tensors,
                const std::vector<std::pair<std::string, std::string>>& metadata);
  void add(const Numbers& numbers);
  void add_weights(const model::Parameter& parameter, const model::Slice& slice);
  void add_moments(const StateTensor& tensor, const model::Slice& slice);
  void add_columns(const Numbers& numbers);
  void assemble(const Numbers& rows, std::uint64_t offset);

  DataParallel& parallel_;
  const char* weights_;
  CheckpointParts parts_;
  std::map<std::string, std::map<std::string, std::uint64_t>> offsets_;  // file, tensor
};

void Planner::add_file(const std::string& name, const std::vector<model::TensorToWrite>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
  model::SafetensorsLayout layout =
      model::safetensors_layout(tensors, model::StorageType::kF32, metadata);
  offsets_[name] = std::move(layout.offsets);
  parts_.files[name] = layout.bytes;
  if (!parallel_.is_root()) return;
  const auto head = std::as_bytes(std::span(layout.head));
  const std::vector<std::byte>& kept = parts_.memory.emplace_back(head.begin(), head.end());
  parts_.ranges.push_back({name, 0, kept, true});
}

void Planner::plan_files(const model::Decoder& decoder, const Optimizer& optimizer) {
  std::vector<model::TensorToWrite> weights;
  for (const model::Parameter& parameter : decoder.trainable()) {
    weights.push_back({.name = parameter.name, .shape = parameter.whole_shape(), .values = {}});
  }
  add_file(weights_, weights, {{"format", "pt"}});
  std::vector<model::TensorToWrite> moments;
  for (const StateTensor& tensor : state_tensors(decoder.trainable(), optimizer.type())) {
    moments.push_back({.name = tensor.name,
                       .shape = tensor.whole_shape(),
                       .values = {},
                       .stored = model::StoredValues{tensor.type, {}}});
  }
  add_file(kCheckpointOptimizer, moments, {});
}

void Planner::plan_ranges(const model::Decoder& decoder, const Optimizer& optimizer) {
  tensor::synchronize(decoder.numbers().device);  // moments that wait on the host are there, too
  std::map<std::size_t, model::Slice> own;        // by parameter
  for (const model::Slice& slice : parallel_.own_slices()) {
    own[slice.parameter] = slice;
    add_weights(decoder.trainable()[slice.parameter], slice);
  }
  for (const StateTensor& tensor : optimizer.state()) {
    const auto found = own.find(tensor.parameter);
    if (found == own.end()) continue;  // held here, but another rank's to write
    add_moments(tensor, found->second);
  }
}

/// Where they lie, or of a GPU a copy of them.
void Planner::add_weights(const model::Parameter& parameter, const model::Slice& slice) {
  Numbers numbers{weights_, parameter.name, &parameter.part, sizeof(float), slice.begin, {}};
  const tensor::AnyView values = tensor::part(parameter.stored, slice.begin, slice.count);
  if (const std::span<const float> here = tensor::host_span(values); !here.empty()) {
    numbers.bytes = std::as_bytes(here);
  } else {
    std::vector<std::byte>& copy = parts_.memory.emplace_back(slice.count * sizeof(float));
    tensor::read(values, {reinterpret_cast<float*>(copy.data()), slice.count});
    numbers.bytes = copy;
    numbers.stays = true;
  }
  add(numbers);
}

void Planner::add_moments(const StateTensor& tensor, const model::Slice& slice) {
  const std::size_t size = model::bytes_of(tensor.type);
  const std::size_t first = slice.begin / tensor.block;
  const std::size_t count = (slice.count + tensor.block - 1) / tensor.block;
  Numbers numbers{kCheckpointOptimizer, tensor.name, &tensor.part, size, first, {}};
  numbers.bytes =
      std::span<const std::byte>(tensor.bytes).subspan(first * size - tensor.begin, count * size);
  if (tensor.device.is_cuda()) {
    std::vector<std::byte>& copy = parts_.memory.emplace_back(numbers.bytes.size());
    tensor::copy_bytes({}, copy.data(), tensor.device, numbers.bytes.data(), copy.size());
    numbers.bytes = copy;
    numbers.stays = true;
  }
  add(numbers);
}

void Planner::add(const Numbers& numbers) {
  const bool is_whole = !numbers.part->is_cut();
  // What all tensor-parallel ranks have, the first of them writes.
  if (is_whole && !parallel_.grid().tensor().is_root()) return;
  if (!is_whole && !numbers.part->is_rows()) return add_columns(numbers);
  const std::uint64_t first = numbers.part->begin + numbers.first;
  parts_.ranges.push_back({numbers.file,
                           offsets_.at(numbers.file).at(numbers.tensor) + first * numbers.size,
                           numbers.bytes, numbers.stays});
}

/// Whole rows are shared out among the ranks that have columns of them; of the first and the last
/// row, which may belong to other ranks in part, each writes its own.
void Planner::add_columns(const Numbers& numbers) {
  const model::TensorPart& part = *numbers.part;
  const std::uint64_t offset = offsets_.at(numbers.file).at(numbers.tensor);
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
    parts_.ranges.push_back(
        {numbers.file, offset + there * numbers.size, bytes_of(from, to), numbers.stays});
  };
  add_piece(numbers.first, begin_rows);
  add_piece(end_rows, end);
  Numbers rows = numbers;
  rows.first = begin_rows;
  rows.bytes = bytes_of(begin_rows, end_rows);
  if (begin_rows < end_rows) assemble(rows, offset);
}

/// Collective over the ranks that have the rows' other columns.
void Planner::assemble(const Numbers& rows, std::uint64_t offset) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes of a rank at a time
  dist::Communicator& ranks = parallel_.grid().tensor();
  const auto me = static_cast<std::size_t>(ranks.rank());
  const std::size_t here = rows.part->run * rows.size;  // bytes of a row
  const std::size_t there = rows.part->stride * rows.size;
  const std::size_t count = rows.bytes.size() / here;
  const std::vector<dist::Part> shares = dist::even_parts(count, ranks.size());
  const dist::Part mine = shares[me];
  std::vector<std::byte>& assembled = parts_.memory.emplace_back(mine.count * there);
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
  parts_.ranges.push_back({rows.file, offset + first * there, assembled, true});
}

}  // namespace

CheckpointParts checkpoint_parts(DataParallel& parallel, const model::Decoder& decoder,
                                 const Optimizer& optimizer) {
  return Planner(parallel, decoder, optimizer).take();
}

}  // namespace nativo::train
