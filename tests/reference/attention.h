// Plain grouped-query attention in f64, one query at a time. The law for ops/attention.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference/linear.h"

namespace nativo::reference {

struct AttentionSizes {
  std::size_t rows, length, heads, kv_heads, dim;
  [[nodiscard]] std::size_t width() const { return (heads + 2 * kv_heads) * dim; }
};

/// Calls visit(query token, query offset in qkv, head, keys, weights) for each query and head,
/// where keys are flat token numbers and weights their softmax.
template <class Visit>
void visit_attention(const AttentionSizes& sizes, const Numbers& qkv,
                     const std::vector<std::int32_t>& first_key, const Visit& visit) {
  const std::size_t group = sizes.heads / sizes.kv_heads;
  for (std::size_t token = 0; token < sizes.rows * sizes.length; ++token) {
    const std::size_t row = token / sizes.length * sizes.length;
    for (std::size_t head = 0; head < sizes.heads; ++head) {
      const double* q = &qkv[token * sizes.width() + head * sizes.dim];
      std::vector<std::size_t> keys;
      Numbers weights;
      double most = -INFINITY;
      for (std::size_t key = row + static_cast<std::size_t>(first_key[token]); key <= token;
           ++key) {
        const double* k = &qkv[key * sizes.width() + (sizes.heads + head / group) * sizes.dim];
        double score = 0.0;
        for (std::size_t i = 0; i < sizes.dim; ++i) score += q[i] * k[i];
        keys.push_back(key);
        weights.push_back(score / std::sqrt(static_cast<double>(sizes.dim)));
        most = std::max(most, weights.back());
      }
      double sum = 0.0;
      for (double& weight : weights) sum += weight = std::exp(weight - most);
      for (double& weight : weights) weight /= sum;
      visit(token, head, keys, weights);
    }
  }
}

inline Numbers attention(const AttentionSizes& sizes, const Numbers& qkv,
                         const std::vector<std::int32_t>& first_key) {
  const std::size_t group = sizes.heads / sizes.kv_heads;
  Numbers out(sizes.rows * sizes.length * sizes.heads * sizes.dim, 0.0);
  visit_attention(sizes, qkv, first_key,
                  [&](std::size_t token, std::size_t head, const std::vector<std::size_t>& keys,
                      const Numbers& weights) {
                    for (std::size_t j = 0; j < keys.size(); ++j) {
                      const double* v =
                          &qkv[keys[j] * sizes.width() +
                               (sizes.heads + sizes.kv_heads + head / group) * sizes.dim];
                      for (std::size_t i = 0; i < sizes.dim; ++i) {
                        out[(token * sizes.heads + head) * sizes.dim + i] += weights[j] * v[i];
                      }
                    }
                  });
  return out;
}

inline Numbers attention_backward(const AttentionSizes& sizes, const Numbers& qkv,
                                  const std::vector<std::int32_t>& first_key, const Numbers& dout) {
  const std::size_t group = sizes.heads / sizes.kv_heads;
  const double scale = 1.0 / std::sqrt(static_cast<double>(sizes.dim));
  Numbers dqkv(qkv.size(), 0.0);
  visit_attention(sizes, qkv, first_key,
                  [&](std::size_t token, std::size_t head, const std::vector<std::size_t>& keys,
                      const Numbers& weights) {
                    const std::size_t q = token * sizes.width() + head * sizes.dim;
                    const double* grad = &dout[(token * sizes.heads + head) * sizes.dim];
                    const std::size_t k_column = (sizes.heads + head / group) * sizes.dim;
                    const std::size_t v_column =
                        (sizes.heads + sizes.kv_heads + head / group) * sizes.dim;
                    Numbers dweights(keys.size(), 0.0);
                    double mean = 0.0;
                    for (std::size_t j = 0; j < keys.size(); ++j) {
                      const std::size_t v = keys[j] * sizes.width() + v_column;
                      for (std::size_t i = 0; i < sizes.dim; ++i) {
                        dweights[j] += grad[i] * qkv[v + i];
                        dqkv[v + i] += weights[j] * grad[i];
                      }
                      mean += weights[j] * dweights[j];
                    }
                    for (std::size_t j = 0; j < keys.size(); ++j) {
                      const double dscore = weights[j] * (dweights[j] - mean) * scale;
                      const std::size_t k = keys[j] * sizes.width() + k_column;
                      for (std::size_t i = 0; i < sizes.dim; ++i) {
                        dqkv[q + i] += dscore * qkv[k + i];
                        dqkv[k + i] += dscore * qkv[q + i];
                      }
                    }
                  });
  return dqkv;
}

}  // namespace nativo::reference
