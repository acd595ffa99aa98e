// What cross_entropy.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

/// `argmax` may be null.
void cross_entropy_forward(const float* logits, std::int64_t rows, std::int64_t vocabulary,
                           const std::int32_t* targets, double* log_prob, std::int32_t* argmax);
void cross_entropy_forward_backward(float* logits, std::int64_t rows, std::int64_t vocabulary,
                                    const std::int32_t* targets, float scale, double* log_prob);

}  // namespace nativo::ops::cpu
