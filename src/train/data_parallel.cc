#include "train/data_parallel.h"

#include <cmath>
#include <utility>

#include "ops/global_norm.h"

namespace nativo::train {

DataParallel::DataParallel(dist::Communicator* communicator, model::Decoder& decoder,
                           std::int64_t zero)
    : self_(communicator == nullptr ? dist::make_self() : nullptr),
      communicator_(communicator == nullptr ? self_.get() : communicator),
      decoder_(decoder),
      shards_state_(zero >= 1),
      shards_(std::as_const(decoder).trainable(), communicator_->size()),
      gradients_(*communicator_, decoder, shards_, zero) {
  const auto own = own_slices();
  updated_ = shards_state_ ? std::vector<Slice>(own.begin(), own.end())
                           : whole_slices(std::as_const(decoder).trainable());
  for (const model::Parameter& parameter : decoder.trainable()) trained_ += parameter.value.size();
}

std::span<const Slice> DataParallel::own_slices() const {
  return shards_.slices(communicator_->rank());
}

std::vector<std::span<const float>> DataParallel::updated_gradients() const {
  std::vector<std::span<const float>> gradients;
  for (const Slice& slice : updated_) gradients.push_back(gradients_.of(slice));
  return gradients;
}

dist::Part DataParallel::share(std::size_t rows) const {
  return share_of_rows(rows, communicator_->rank(), communicator_->size());
}

std::size_t DataParallel::rounds(std::size_t rows, std::size_t micro) const {
  const std::size_t most = share_of_rows(rows, 0, communicator_->size()).count;
  return (most + micro - 1) / micro;
}

std::span<float> DataParallel::all_values() const {
  return {decoder_.trainable().front().value.data(), trained_};
}

namespace {

/// A bucket's parts as those of its own numbers.
std::vector<dist::Part> parts_inside(const Bucket& bucket) {
  std::vector<dist::Part> parts = bucket.parts;
  for (dist::Part& part : parts) part.begin -= bucket.begin;
  return parts;
}

}  // namespace

double DataParallel::gradient_norm() {
  const auto parameters = std::as_const(decoder_).trainable();
  std::vector<std::size_t> first_piece;  // of each parameter
  std::size_t pieces = 0;
  for (const model::Parameter& parameter : parameters) {
    first_piece.push_back(pieces);
    pieces += ops::norm_pieces(parameter.value.size());
  }
  std::vector<double> sums(pieces);
  for (const Slice& slice : own_slices()) {
    ops::sums_of_squares(
        gradients_.of(slice),
        std::span(sums).subspan(first_piece[slice.parameter] + slice.begin / ops::kNormPiece,
                                ops::norm_pieces(slice.count)));
  }
  communicator_->all_reduce(std::span(sums));  // each piece is one rank's
  double total = 0.0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const std::size_t end = p + 1 < parameters.size() ? first_piece[p + 1] : pieces;
    double sum = 0.0;
    for (std::size_t i = first_piece[p]; i < end; ++i) sum += sums[i];
    total += sum;
  }
  return std::sqrt(total);
}

void DataParallel::gather_parameters() {
  if (is_alone() || !shards_state_) return;
  for (const Bucket& bucket : shards_.buckets()) {
    communicator_->all_gather(all_values().subspan(bucket.begin, bucket.count),
                              parts_inside(bucket));
  }
}

}  // namespace nativo::train
