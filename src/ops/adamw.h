// Adam with decoupled weight decay. Source: Loshchilov & Hutter, arXiv:1711.05101, algorithm 2
// (with PyTorch's convention that the decay is lr * weight_decay). Not here: schedules, clipping's
// norm. Rule: one pass over each tensor.
#pragma once

#include <cstdint>
#include <span>

namespace nativo::ops {

struct AdamW {
  std::int64_t step = 1;  ///< 1 at the first update
  float lr = 1e-3F;
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float eps = 1e-8F;
  float weight_decay = 0.0F;
  float gradient_scale = 1.0F;  ///< multiplies the gradient: 1/targets, clipping
};

/// With g = gradient_scale * gradient: m = beta1 m + (1-beta1) g; v = beta2 v + (1-beta2) g^2;
/// value -= lr * (m / (1-beta1^step) / (sqrt(v / (1-beta2^step)) + eps) + weight_decay * value).
/// All spans have one size. Moments smaller than 1e-30 (m) and 1e-37 (v) become 0: rows of rare
/// tokens would otherwise decay into subnormal numbers, which are a hundred times slower.
void adamw(const AdamW& options, std::span<float> value, std::span<const float> gradient,
           std::span<float> m, std::span<float> v);

}  // namespace nativo::ops
