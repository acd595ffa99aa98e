// Sum of squares in f64; bound by memory, so the compiler's vectors are enough.
#include "ops/global_norm.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {

void sums_of_squares(std::span<const float> x, std::span<double> pieces) {
  constexpr std::size_t kLanes = 8;
  NATIVO_CHECK(pieces.size() == norm_pieces(x.size()), "a sum a piece");
  parallel_for(pieces.size(), [&](std::size_t piece) {
    const std::size_t begin = piece * kNormPiece;
    const std::size_t end = std::min(begin + kNormPiece, x.size());
    std::array<double, kLanes> sums{};
    std::size_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        sums[lane] += static_cast<double>(x[i + lane]) * static_cast<double>(x[i + lane]);
      }
    }
    for (; i < end; ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    pieces[piece] = 0.0;
    for (const double sum : sums) pieces[piece] += sum;
  });
}

double sum_of_squares(std::span<const float> x) {
  std::vector<double> pieces(norm_pieces(x.size()));
  sums_of_squares(x, pieces);
  double total = 0.0;
  for (const double piece : pieces) total += piece;
  return total;
}

void sums_of_squares(tensor::View<const float> x, tensor::View<double> sums) {
  NATIVO_CHECK(static_cast<std::size_t>(sums.elements()) ==
                   norm_pieces(static_cast<std::size_t>(x.elements())),
               "a sum a piece");
  if (on_gpu(x, sums)) return cuda::Optimizer<float>::sums_of_squares(x, sums);
  sums_of_squares(x.span(), sums.span());
}

void sums_of_squares(tensor::View<const tensor::bf16> x, tensor::View<double> sums) {
  NATIVO_CHECK(static_cast<std::size_t>(sums.elements()) ==
                   norm_pieces(static_cast<std::size_t>(x.elements())),
               "a sum a piece");
  require_gpu(x, sums);
  cuda::Optimizer<tensor::bf16>::sums_of_squares(x, sums);
}

}  // namespace nativo::ops
