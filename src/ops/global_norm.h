// The sum of squares of a gradient, for clipping and for the log.
// Rule: f64, in fixed pieces summed in order, so that it does not depend on the number of threads.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Elements whose squares are summed apart from the others'.
inline constexpr std::size_t kNormPiece = 16384;

/// Pieces of a tensor of `elements`; the last may be shorter.
[[nodiscard]] constexpr std::size_t norm_pieces(std::size_t elements) {
  return (elements + kNormPiece - 1) / kNormPiece;
}

/// sums[i] = the sum of x^2 over piece i, in f64; norm_pieces(x.size()) of them.
void sums_of_squares(std::span<const float> x, std::span<double> sums);

/// The sum of x^2: that of its pieces in their order. The global norm is sqrt of the sum over all
/// tensors, in their order.
[[nodiscard]] double sum_of_squares(std::span<const float> x);

/// The same pieces of a tensor on any device, [norm_pieces(elements)]; on a GPU each is summed in
/// another fixed order.
void sums_of_squares(tensor::View<const float> x, tensor::View<double> sums);
/// On a GPU alone.
void sums_of_squares(tensor::View<const tensor::bf16> x, tensor::View<double> sums);

}  // namespace nativo::ops
