// Plain linear layer in f64: y = x W^T, and its gradients. The law for ops/gemm.h.
#pragma once

#include <cstddef>
#include <vector>

namespace nativo::reference {

using Numbers = std::vector<double>;

inline Numbers linear(const Numbers& x, const Numbers& weight, std::size_t rows,
                      std::size_t outputs, std::size_t inputs) {
  Numbers y(rows * outputs, 0.0);
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i) {
        y[n * outputs + o] += x[n * inputs + i] * weight[o * inputs + i];
      }
    }
  }
  return y;
}

inline Numbers linear_dx(const Numbers& dy, const Numbers& weight, std::size_t rows,
                         std::size_t outputs, std::size_t inputs) {
  Numbers dx(rows * inputs, 0.0);
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i) {
        dx[n * inputs + i] += dy[n * outputs + o] * weight[o * inputs + i];
      }
    }
  }
  return dx;
}

inline Numbers linear_dweight(const Numbers& dy, const Numbers& x, std::size_t rows,
                              std::size_t outputs, std::size_t inputs) {
  Numbers dweight(outputs * inputs, 0.0);
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i) {
        dweight[o * inputs + i] += dy[n * outputs + o] * x[n * inputs + i];
      }
    }
  }
  return dweight;
}

}  // namespace nativo::reference
