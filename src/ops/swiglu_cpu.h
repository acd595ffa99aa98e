// What swiglu.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

void swiglu_forward(const float* gate_up, std::int64_t rows, std::int64_t columns, float* act);
void swiglu_backward(float* gate_up, std::int64_t rows, std::int64_t columns, float* dact);

}  // namespace nativo::ops::cpu
