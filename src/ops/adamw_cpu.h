// What adamw.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

#include "ops/adamw.h"

namespace nativo::ops::cpu {

void adamw(const AdamW& options, std::int64_t count, float* value, const float* gradient, float* m,
           float* v);

}  // namespace nativo::ops::cpu
