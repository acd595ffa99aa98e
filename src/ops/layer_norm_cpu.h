// What layer_norm.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

void layer_norm_rows(const float* x, const float* gamma, const float* beta, float eps,
                     std::int64_t rows, std::int64_t columns, float* y);

}  // namespace nativo::ops::cpu
