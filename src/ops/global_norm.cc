// Sum of squares in f64; bound by memory, so the compiler's vectors are enough.
#include "ops/global_norm.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

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

}  // namespace nativo::ops
