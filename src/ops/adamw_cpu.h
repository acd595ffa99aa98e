// What adamw.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

#include "ops/adamw.h"

namespace nativo::ops::cpu {

void adamw(const AdamW& options, std::int64_t count, float* value, const float* gradient, float* m,
           float* v);

void adamw_bf16(const AdamW& options, const RoundingNoise& noise, std::int64_t count, float* value,
                const float* gradient, std::uint16_t* m, std::uint16_t* v);

void adamw_int8(const AdamW& options, const RoundingNoise& noise, std::int64_t count, float* value,
                const float* gradient, const Int8Moments& moments);

}  // namespace nativo::ops::cpu
