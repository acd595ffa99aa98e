// Panels of row_linear: up to 12 rows, interleaved, times a panel of packed outputs in registers.
#include "ops/row_gemm_cpu.h"

#include <algorithm>
#include <vector>

#include "ops/row_gemm.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/row_gemm_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/small_gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// kRows rows from `row`; `interleaved` and `sums` are scratch.
template <int kRows>
HWY_INLINE void rows_of_panel(const cpu::RowBlock& block, std::int64_t row, float* interleaved,
                              float* sums) {
  const float* x = block.x + row * block.inputs;
  for (std::int64_t i = 0; i < block.inputs; ++i) {
    for (int r = 0; r < kRows; ++r) interleaved[i * kRows + r] = x[r * block.inputs + i];
  }
  const std::int64_t width = std::min(2 * float_lanes(), kRowGemmPanel);
  for (std::int64_t column = 0; column < block.outputs; column += width) {
    small_gemm_tile<kRows, 1>(block.inputs, interleaved, kRows, block.panel + column, kRowGemmPanel,
                              sums + column, kRowGemmPanel, width, false);
  }
  for (int r = 0; r < kRows; ++r) {
    float* y = block.y + (row + r) * block.y_stride;
    for (std::int64_t column = 0; column < block.outputs; ++column) {
      float value = sums[r * kRowGemmPanel + column];
      if (block.bias != nullptr) value += block.bias[column];
      y[column] = block.relu ? std::max(value, 0.0F) : value;
    }
  }
}

void row_block(const cpu::RowBlock& block) {
  std::vector<float> interleaved(static_cast<std::size_t>(12 * block.inputs));
  HWY_ALIGN float sums[12 * kRowGemmPanel];
  std::int64_t row = 0;
  for (; row + 12 <= block.rows; row += 12) {
    rows_of_panel<12>(block, row, interleaved.data(), sums);
  }
  for (; row + 4 <= block.rows; row += 4) rows_of_panel<4>(block, row, interleaved.data(), sums);
  for (; row < block.rows; ++row) rows_of_panel<1>(block, row, interleaved.data(), sums);
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(row_block);
}  // namespace

namespace cpu {

void row_block(const RowBlock& block) { HWY_DYNAMIC_DISPATCH(row_block)(block); }

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
