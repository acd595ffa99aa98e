// Quantising activations, and int8 blocks for processors without VNNI: the bytes widened to 16
// bits, their products summed in pairs.
#include "ops/int8_gemm_cpu.h"

#include <algorithm>
#include <cmath>

#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/int8_gemm_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

void quantize_rows(const float* x, std::int64_t rows, std::int64_t inputs, Int8Rounding rounding,
                   std::uint8_t* codes, float* scales) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<std::uint8_t, FloatTag> du8;
  const std::int64_t stride = int8_row_bytes(inputs);
  const std::int64_t lanes = float_lanes();
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * inputs;
    std::uint8_t* to = codes + row * stride;
    auto most = hn::Zero(d);
    for (std::int64_t i = 0; i < inputs; i += lanes) {
      most = hn::Max(most, hn::Abs(load_up_to(from + i, inputs - i)));
    }
    const float amax = hn::GetLane(hn::MaxOfLanes(d, most));
    const float scale = amax != 0.0F ? 127.0F / amax : 1.0F;
    scales[row] = scale;
    const auto factor = hn::Set(d, scale);
    const auto middle = hn::Set(d, 128.0F);
    for (std::int64_t i = 0; i < inputs; i += lanes) {
      const auto value = hn::MulAdd(load_up_to(from + i, inputs - i), factor, middle);
      const auto code =
          rounding == Int8Rounding::kNearest ? hn::NearestInt(value) : hn::ConvertTo(di, value);
      if (inputs - i >= lanes) {
        hn::StoreU(hn::DemoteTo(du8, code), du8, to + i);
      } else {
        HWY_ALIGN std::uint8_t part[HWY_MAX_BYTES];
        hn::StoreU(hn::DemoteTo(du8, code), du8, part);
        std::copy_n(part, inputs - i, to + i);
      }
    }
    std::fill(to + inputs, to + stride, std::uint8_t{0});
  }
}

/// The sum over the inputs of code * value for one row and one output.
HWY_INLINE std::int32_t dot(const std::uint8_t* codes, const std::int8_t* values,
                            std::int64_t bytes) {
  const hn::ScalableTag<std::int16_t> d16;
  const hn::ScalableTag<std::int32_t> d32;
  const hn::Rebind<std::uint8_t, decltype(d16)> du8;
  const hn::Rebind<std::int8_t, decltype(d16)> di8;
  auto sum0 = hn::Zero(d32);
  auto sum1 = hn::Zero(d32);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d16));
  for (std::int64_t i = 0; i < bytes; i += lanes) {
    const auto x = hn::PromoteTo(d16, hn::LoadU(du8, codes + i));
    const auto w = hn::PromoteTo(d16, hn::LoadU(di8, values + i));
    sum0 = hn::ReorderWidenMulAccumulate(d32, x, w, sum0, sum1);
  }
  return hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
}

void plain_block(const cpu::Int8Block& block) {
  const std::int64_t bytes = int8_row_bytes(block.weight->inputs());
  for (std::int64_t j = 0; j < block.outputs; ++j) {
    const std::int64_t output = block.first + j;
    const std::int8_t* values = block.weight->packed() + output * bytes;
    for (std::int64_t row = 0; row < block.rows; ++row) {
      const std::int32_t sum = dot(block.codes + row * block.code_stride, values, bytes) -
                               block.weight->shifts()[output];
      float value = static_cast<float>(sum) * (1.0F / block.scales[row]);
      value /= block.weight->scales()[output];
      if (block.bias != nullptr) value += block.bias[output];
      if (block.relu) value = std::max(value, 0.0F);
      block.y[row * block.y_stride + j] = value;
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(quantize_rows);
HWY_EXPORT(plain_block);
}  // namespace

namespace cpu {

void quantize_activations(const float* x, std::int64_t rows, std::int64_t inputs,
                          Int8Rounding rounding, std::uint8_t* codes, float* scales) {
  HWY_DYNAMIC_DISPATCH(quantize_rows)(x, rows, inputs, rounding, codes, scales);
}

void int8_block_plain(const Int8Block& block) { HWY_DYNAMIC_DISPATCH(plain_block)(block); }

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
