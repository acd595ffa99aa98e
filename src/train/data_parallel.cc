#include "train/data_parallel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ops/global_norm.h"
#include "tensor/device_memory.h"

namespace nativo::train {

model::DecoderRanks decoder_ranks(dist::Grid& grid, std::int64_t zero) {
  model::DecoderRanks ranks;
  if (grid.tensor().size() > 1) ranks.tensor = &grid.tensor();
  if (zero >= 3 && grid.data().size() > 1) ranks.weights = &grid.data();
  if (grid.world().size() > 1) ranks.all = &grid.world();
  return ranks;
}

DataParallel::DataParallel(dist::Grid* grid, model::Decoder& decoder, std::int64_t zero,
                           GradientCrossing gradients)
    : self_(grid == nullptr ? std::make_unique<dist::Grid>() : nullptr),
      grid_(grid == nullptr ? self_.get() : grid),
      ranks_(&grid_->data()),
      decoder_(decoder),
      shards_state_(zero >= 1),
      shards_(std::as_const(decoder).trainable(), ranks_->size()),
      gradients_(*ranks_, decoder, shards_, zero, gradients) {
  const auto own = own_slices();
  updated_ = shards_state_ ? std::vector<model::Slice>(own.begin(), own.end())
                           : model::whole_slices(std::as_const(decoder).trainable());
}

std::span<const model::Slice> DataParallel::own_slices() const {
  return shards_.slices(ranks_->rank());
}

std::vector<tensor::AnyView> DataParallel::updated_gradients() const {
  std::vector<tensor::AnyView> gradients;
  for (const model::Slice& slice : updated_) {
    if (decoder_.numbers().device.is_cuda()) {
      gradients.push_back(
          tensor::part(std::as_const(decoder_).trainable()[slice.parameter].stored_gradient,
                       slice.begin, slice.count));
      continue;
    }
    const std::span<float> gradient = gradients_.of(slice);
    gradients.emplace_back(
        tensor::View<float>(gradient, {static_cast<std::int64_t>(gradient.size())}));
  }
  return gradients;
}

dist::Part DataParallel::share(std::size_t rows) const {
  return dist::even_parts(rows, ranks_->size())[static_cast<std::size_t>(ranks_->rank())];
}

std::size_t DataParallel::rounds(std::size_t rows, std::size_t micro) const {
  const std::size_t most = dist::even_parts(rows, ranks_->size()).front().count;
  return (most + micro - 1) / micro;
}

void DataParallel::finish_gradients() {
  gradients_.finish();
  if (grid_->tensor().size() == 1) return;
  const auto parameters = std::as_const(decoder_).trainable();
  std::vector<float> sums;  // one sum of all, for they are small
  for (const model::Slice& slice : updated_) {
    if (!parameters[slice.parameter].part.is_summed) continue;
    const std::span<const float> gradient = gradients_.of(slice);
    sums.insert(sums.end(), gradient.begin(), gradient.end());
  }
  if (sums.empty()) return;
  grid_->tensor().all_reduce(std::span(sums));
  auto next = sums.begin();
  for (const model::Slice& slice : updated_) {
    if (!parameters[slice.parameter].part.is_summed) continue;
    const std::span<float> gradient = gradients_.of(slice);
    std::copy_n(next, gradient.size(), gradient.begin());
    next += static_cast<std::ptrdiff_t>(gradient.size());
  }
}

/// The sums of squares of this rank's own slices; first_piece[p] is where those of parameter p are.
void DataParallel::piece_sums(std::span<const std::size_t> first_piece, std::span<double> sums) {
  const auto parameters = std::as_const(decoder_).trainable();
  const tensor::Device& device = decoder_.numbers().device;
  tensor::View<double> on_gpu;
  if (device.is_cuda()) {
    tensor::ArenaPlan plan;
    const auto slot = plan.add<double>("norm", {static_cast<std::int64_t>(sums.size())});
    if (norm_memory_.device() != device) norm_memory_ = tensor::Arena(device);
    norm_memory_.reserve(plan, "the gradient's norm");
    norm_memory_.zero();
    on_gpu = norm_memory_.view<double>(slot);
  }
  for (const model::Slice& slice : own_slices()) {
    const std::size_t first = first_piece[slice.parameter] + slice.begin / ops::kNormPiece;
    const std::size_t count = ops::norm_pieces(slice.count);
    if (!device.is_cuda()) {
      ops::sums_of_squares(gradients_.of(slice), sums.subspan(first, count));
      continue;
    }
    std::visit(
        [&](const auto& gradient) {
          ops::sums_of_squares(gradient, on_gpu.rows(static_cast<std::int64_t>(first),
                                                     static_cast<std::int64_t>(count)));
        },
        tensor::part(parameters[slice.parameter].stored_gradient, slice.begin, slice.count));
  }
  if (device.is_cuda()) tensor::copy(on_gpu, tensor::View<double>(sums, on_gpu.shape()));
}

double DataParallel::gradient_norm() {
  const auto parameters = std::as_const(decoder_).trainable();
  std::vector<std::size_t> first_piece;  // of each parameter
  std::size_t pieces = 0;
  for (const model::Parameter& parameter : parameters) {
    first_piece.push_back(pieces);
    pieces += ops::norm_pieces(parameter.elements());
  }
  std::vector<double> sums(pieces);
  piece_sums(first_piece, sums);
  ranks_->all_reduce(std::span(sums));  // each piece is one rank's
  std::vector<double> cut;              // of what other ranks have other parts of
  double total = 0.0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const std::size_t end = p + 1 < parameters.size() ? first_piece[p + 1] : pieces;
    double sum = 0.0;
    for (std::size_t i = first_piece[p]; i < end; ++i) sum += sums[i];
    if (parameters[p].part.is_cut()) {
      cut.push_back(sum);
    } else {
      total += sum;
    }
  }
  if (!cut.empty()) grid_->tensor().all_reduce(std::span(cut));
  for (const double sum : cut) total += sum;
  return std::sqrt(total);
}

void DataParallel::gather_parameters() {
  if (ranks_->size() == 1 || !shards_state_) return;
  for (const model::Bucket& bucket : shards_.buckets()) {
    const bool stays = decoder_.gathers_layers() && decoder_.lora() == nullptr &&
                       bucket.layer >= 0 && bucket.layer < decoder_.config().layers;
    if (stays) continue;
    float* values = decoder_.trainable()[bucket.parameter].value.data();
    ranks_->all_gather(std::span(values, bucket.count), bucket.parts_inside());
  }
}

}  // namespace nativo::train
