// The sum of squares of a gradient, for clipping and for the log.
// Rule: f64, in fixed pieces summed in order, so that it does not depend on the number of threads.
#pragma once

#include <span>

namespace nativo::ops {

/// The sum of x^2 in f64. The global norm is sqrt of the sum over all tensors, in their order.
[[nodiscard]] double sum_of_squares(std::span<const float> x);

}  // namespace nativo::ops
