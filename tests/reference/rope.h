// Plain rotary embedding in f64, rotate-half layout. The law for ops/rope.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference/linear.h"

namespace nativo::reference {

/// Rotates the first `heads` heads of size `dim` of each row of `width` numbers, by sign * angle.
inline void rope(Numbers& x, std::size_t width, std::size_t heads, std::size_t dim,
                 const std::vector<std::int32_t>& positions, double theta, double sign) {
  const std::size_t half = dim / 2;
  for (std::size_t row = 0; row < positions.size(); ++row) {
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t i = 0; i < half; ++i) {
        const double frequency =
            std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
        const double angle = sign * positions[row] * frequency;
        double& a = x[row * width + head * dim + i];
        double& b = x[row * width + head * dim + half + i];
        const double first = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = first;
      }
    }
  }
}

}  // namespace nativo::reference
