// Test numbers, and how far two results are apart. Not a reference for any op.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/rng.h"

namespace nativo::reference {

/// Normal numbers decided by `stream`.
inline std::vector<double> normal_numbers(std::size_t count, std::uint64_t stream,
                                          double deviation = 1.0) {
  Rng rng(42, stream);
  std::vector<double> numbers(count);
  // Rounded to f32, so that engine and reference start from the same numbers.
  for (double& number : numbers) number = static_cast<float>(deviation * rng.normal());
  return numbers;
}

inline std::vector<float> to_f32(std::span<const double> numbers) {
  return {numbers.begin(), numbers.end()};
}

/// |a - b| / |b| in the Euclidean norm; |a| when b is zero.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double difference = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += delta * delta;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  if (a.size() != b.size() || std::isnan(difference)) return INFINITY;
  return std::sqrt(size > 0.0 ? difference / size : difference);
}

/// The gradient of f at x by central differences.
inline std::vector<double> finite_difference(
    const std::function<double(const std::vector<double>&)>& f, std::vector<double> x,
    double step = 1e-5) {
  std::vector<double> gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double saved = x[i];
    x[i] = saved + step;
    const double above = f(x);
    x[i] = saved - step;
    const double below = f(x);
    x[i] = saved;
    gradient[i] = (above - below) / (2.0 * step);
  }
  return gradient;
}

inline double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace nativo::reference
