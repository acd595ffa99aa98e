#include "train/data_parallel.h"

#include <algorithm>
#include <utility>

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
      gradients_(*ranks_, decoder, shards_, zero, gradients),
      norm_(std::as_const(decoder).trainable(), decoder.numbers().device) {
  const auto own = own_slices();
  updated_ = shards_state_ ? std::vector<model::Slice>(own.begin(), own.end())
                           : model::whole_slices(std::as_const(decoder).trainable());
}

std::span<const model::Slice> DataParallel::own_slices() const {
  return shards_.slices(ranks_->rank());
}

std::vector<tensor::AnyView> DataParallel::updated_gradients() const {
  std::vector<tensor::AnyView> gradients;
  for (const model::Slice& slice : updated_) gradients.push_back(gradients_.of(slice));
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
  std::vector<float> sums;  // one sum of all, for they are small; on the host
  const auto for_summed = [&](const auto& body) {
    std::size_t at = 0;
    for (const model::Slice& slice : updated_) {
      if (!parameters[slice.parameter].part.is_summed) continue;
      sums.resize(std::max(sums.size(), at + slice.count));
      body(gradients_.of(slice), std::span(sums).subspan(at, slice.count));
      at += slice.count;
    }
  };
  for_summed([](const tensor::AnyView& gradient, std::span<float> numbers) {
    tensor::read(gradient, numbers);
  });
  if (sums.empty()) return;
  grid_->tensor().all_reduce(std::span(sums));
  for_summed([](const tensor::AnyView& gradient, std::span<float> numbers) {
    tensor::write(numbers, gradient);
  });
}

double DataParallel::gradient_norm() {
  norm_.begin();
  for (const model::Slice& slice : own_slices()) norm_.add(slice, gradients_.of(slice));
  return norm_.finish(*grid_);
}

void DataParallel::add_to_norm(std::int64_t layer) {
  const auto parameters = std::as_const(decoder_).trainable();
  for (const model::Slice& slice : own_slices()) {
    if (parameters[slice.parameter].layer == layer) norm_.add(slice, gradients_.of(slice));
  }
}

void DataParallel::gather_parameters() {
  if (ranks_->size() == 1 || !shards_state_) return;
  for (const model::Bucket& bucket : shards_.buckets()) {
    const bool stays = decoder_.gathers_layers() && decoder_.lora() == nullptr &&
                       bucket.layer >= 0 && bucket.layer < decoder_.config().layers;
    if (stays) continue;
    ranks_->all_gather(bucket_of(decoder_.trainable()[bucket.parameter].stored, bucket.count),
                       bucket.parts_inside());
  }
}

}  // namespace nativo::train
