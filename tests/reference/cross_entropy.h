// Plain softmax cross-entropy in f64. The law for ops/cross_entropy.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference/linear.h"

namespace nativo::reference {

/// log softmax(logits)[target] of each row of `vocabulary` logits.
inline Numbers log_prob(const Numbers& logits, const std::vector<std::int32_t>& targets,
                        std::size_t vocabulary) {
  Numbers result(targets.size());
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const double* x = &logits[row * vocabulary];
    const double most = *std::max_element(x, x + vocabulary);
    double sum = 0.0;
    for (std::size_t i = 0; i < vocabulary; ++i) sum += std::exp(x[i] - most);
    result[row] = x[targets[row]] - most - std::log(sum);
  }
  return result;
}

/// Gradient of -scale * the sum of log_prob.
inline Numbers cross_entropy_backward(const Numbers& logits,
                                      const std::vector<std::int32_t>& targets,
                                      std::size_t vocabulary, double scale) {
  Numbers gradient(logits.size());
  const Numbers log_probs = log_prob(logits, targets, vocabulary);
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const double* x = &logits[row * vocabulary];
    const double log_sum = x[targets[row]] - log_probs[row];
    for (std::size_t i = 0; i < vocabulary; ++i) {
      gradient[row * vocabulary + i] = scale * std::exp(x[i] - log_sum);
    }
    gradient[row * vocabulary + static_cast<std::size_t>(targets[row])] -= scale;
  }
  return gradient;
}

/// The loss of each row as ops::CrossEntropy has it, from the definition of the smoothed target
/// q = (1 - smoothing) onehot + smoothing / V: sum(-q log p) + z_loss lse^2.
inline Numbers smoothed_loss(const Numbers& logits, const std::vector<std::int32_t>& targets,
                             std::size_t vocabulary, double z_loss, double smoothing) {
  Numbers result(targets.size());
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * vocabulary);
    const Numbers x(begin, begin + static_cast<std::ptrdiff_t>(vocabulary));
    double lse = 0.0;
    for (std::size_t i = 0; i < vocabulary; ++i) {
      const bool is_target = i == static_cast<std::size_t>(targets[row]);
      const double log_p = log_prob(x, {static_cast<std::int32_t>(i)}, vocabulary)[0];
      lse = x[i] - log_p;
      result[row] -=
          ((is_target ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(vocabulary)) *
          log_p;
    }
    result[row] += z_loss * lse * lse;
  }
  return result;
}

}  // namespace nativo::reference
