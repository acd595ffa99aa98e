// Plain RMSNorm in f64. The law for ops/rmsnorm.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "reference/linear.h"

namespace nativo::reference {

inline double rstd(const double* x, std::size_t columns, double eps) {
  double sum = 0.0;
  for (std::size_t i = 0; i < columns; ++i) sum += x[i] * x[i];
  return 1.0 / std::sqrt(sum / static_cast<double>(columns) + eps);
}

inline Numbers rmsnorm(const Numbers& x, const Numbers& weight, double eps) {
  const std::size_t columns = weight.size();
  Numbers y(x.size());
  for (std::size_t row = 0; row < x.size(); row += columns) {
    const double r = rstd(&x[row], columns, eps);
    for (std::size_t i = 0; i < columns; ++i) y[row + i] = x[row + i] * r * weight[i];
  }
  return y;
}

/// Adds to dx and dweight.
inline void rmsnorm_backward(const Numbers& dy, const Numbers& x, const Numbers& weight, double eps,
                             Numbers& dx, Numbers& dweight) {
  const std::size_t columns = weight.size();
  for (std::size_t row = 0; row < x.size(); row += columns) {
    const double r = rstd(&x[row], columns, eps);
    double sum = 0.0;
    for (std::size_t i = 0; i < columns; ++i) sum += dy[row + i] * weight[i] * x[row + i];
    for (std::size_t i = 0; i < columns; ++i) {
      dx[row + i] +=
          r * dy[row + i] * weight[i] - r * r * r * x[row + i] * sum / static_cast<double>(columns);
      dweight[i] += dy[row + i] * x[row + i] * r;
    }
  }
}

}  // namespace nativo::reference
