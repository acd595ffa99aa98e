#include "train/gradient_norm.h"

#include <algorithm>
#include <cmath>

#include "ops/global_norm.h"
#include "tensor/device_memory.h"

namespace nativo::train {

GradientNorm::GradientNorm(std::span<const model::Parameter> parameters,
                           const tensor::Device& device)
    : device_(device), memory_(device) {
  first_piece_.push_back(0);
  for (const model::Parameter& parameter : parameters) {
    is_cut_.push_back(parameter.part.is_cut());
    first_piece_.push_back(first_piece_.back() + ops::norm_pieces(parameter.elements()));
  }
  sums_.resize(first_piece_.back());
}

void GradientNorm::begin() {
  std::ranges::fill(sums_, 0.0);
  if (!device_.is_cuda()) return;
  tensor::ArenaPlan plan;
  const auto slot = plan.add<double>("norm", {static_cast<std::int64_t>(sums_.size())});
  memory_.reserve(plan, "the gradient's norm");
  memory_.zero();
  on_gpu_ = memory_.view<double>(slot);
}

void GradientNorm::add(const model::Slice& slice, const tensor::AnyView& gradient) {
  const std::size_t first = first_piece_[slice.parameter] + slice.begin / ops::kNormPiece;
  const std::size_t count = ops::norm_pieces(slice.count);
  if (!device_.is_cuda()) {
    return ops::sums_of_squares(tensor::host_span(gradient),
                                std::span(sums_).subspan(first, count));
  }
  std::visit(
      [&](const auto& values) {
        ops::sums_of_squares(values, on_gpu_.rows(static_cast<std::int64_t>(first),
                                                  static_cast<std::int64_t>(count)));
      },
      gradient);
}

double GradientNorm::finish(dist::Grid& grid) {
  if (device_.is_cuda()) {
    tensor::copy(on_gpu_, tensor::View<double>(sums_, on_gpu_.shape()));
    grid.check();  // all that the ranks' GPUs have summed up to here is true
  }
  grid.data().all_reduce(std::span(sums_));
  std::vector<double> cut;
  double total = 0.0;
  for (std::size_t p = 0; p < is_cut_.size(); ++p) {
    double sum = 0.0;
    for (std::size_t i = first_piece_[p]; i < first_piece_[p + 1]; ++i) sum += sums_[i];
    if (is_cut_[p]) {
      cut.push_back(sum);
    } else {
      total += sum;
    }
  }
  if (!cut.empty()) grid.tensor().all_reduce(std::span(cut));
  for (const double sum : cut) total += sum;
  return std::sqrt(total);
}

}  // namespace nativo::train
