// What rope.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

struct Rope {
  float* x;
  std::int64_t row_stride;
  std::int64_t heads;
  std::int64_t half;  ///< D/2
  const std::int32_t* positions;
  const float* cosine;
  const float* sine;
  float sign;  ///< of the angle
};

void rope(const Rope& rope, std::int64_t rows);

}  // namespace nativo::ops::cpu
