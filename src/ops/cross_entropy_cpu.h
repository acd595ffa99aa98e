// What cross_entropy.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

#include "ops/cross_entropy.h"

namespace nativo::ops::cpu {

/// Of a row's logits less their maximum.
struct RowSums {
  float exponentials = 0.0F;
  float plain = 0.0F;
};

/// `argmax` may be null.
void cross_entropy_forward(const float* logits, std::int64_t rows, std::int64_t vocabulary,
                           const std::int32_t* targets, double* log_prob, std::int32_t* argmax);
/// `loss` may be null.
void cross_entropy_forward_backward(float* logits, std::int64_t rows, std::int64_t vocabulary,
                                    const std::int32_t* targets, const CrossEntropy& options,
                                    double* log_prob, double* loss);

}  // namespace nativo::ops::cpu
