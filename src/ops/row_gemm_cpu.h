// What row_gemm.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

/// Up to kRowGemmPanel outputs of some rows.
struct RowBlock {
  const float* x;
  std::int64_t rows;
  std::int64_t inputs;
  const float* panel;  ///< [I][32]
  const float* bias;   ///< of the panel's first output, or null
  bool relu;
  float* y;  ///< of the first row and the panel's first output
  std::int64_t y_stride;
  std::int64_t outputs;
};

void row_block(const RowBlock& block);

}  // namespace nativo::ops::cpu
