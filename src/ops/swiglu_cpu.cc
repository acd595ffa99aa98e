// SwiGLU kernels, a few rows at a time.
#include "ops/swiglu_cpu.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/swiglu_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

HWY_INLINE FloatVec sigmoid(FloatVec x) {
  const FloatTag d;
  const auto one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exp_fast(hn::Neg(x))));
}

void swiglu_forward_rows(const float* gate_up, std::int64_t rows, std::int64_t columns,
                         float* act) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* gate = gate_up + row * 2 * columns;
    const float* up = gate + columns;
    float* out = act + row * columns;
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const std::int64_t left = columns - i;
      const auto g = load_up_to(gate + i, left);
      const auto silu = hn::Mul(g, sigmoid(g));
      store_up_to(hn::Mul(silu, load_up_to(up + i, left)), out + i, left);
    }
  }
}

void swiglu_backward_rows(float* gate_up, std::int64_t rows, std::int64_t columns, float* dact) {
  const FloatTag d;
  const auto one = hn::Set(d, 1.0F);
  for (std::int64_t row = 0; row < rows; ++row) {
    float* gate = gate_up + row * 2 * columns;
    float* up = gate + columns;
    float* grad = dact + row * columns;
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const std::int64_t left = columns - i;
      const auto g = load_up_to(gate + i, left);
      const auto u = load_up_to(up + i, left);
      const auto dy = load_up_to(grad + i, left);
      const auto s = sigmoid(g);
      const auto silu = hn::Mul(g, s);
      // silu'(g) = s (1 + g (1 - s)) = s + silu (1 - s)
      const auto slope = hn::MulAdd(silu, hn::Sub(one, s), s);
      store_up_to(hn::Mul(hn::Mul(dy, u), slope), gate + i, left);
      store_up_to(hn::Mul(dy, silu), up + i, left);
      store_up_to(hn::Mul(silu, u), grad + i, left);
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(swiglu_forward_rows);
HWY_EXPORT(swiglu_backward_rows);
constexpr std::int64_t kBlock = 16;
}  // namespace

namespace cpu {

void swiglu_forward(const float* gate_up, std::int64_t rows, std::int64_t columns, float* act) {
  parallel_for(static_cast<std::size_t>((rows + kBlock - 1) / kBlock), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlock;
    HWY_DYNAMIC_DISPATCH(swiglu_forward_rows)
    (gate_up + first * 2 * columns, std::min(kBlock, rows - first), columns, act + first * columns);
  });
}

void swiglu_backward(float* gate_up, std::int64_t rows, std::int64_t columns, float* dact) {
  parallel_for(static_cast<std::size_t>((rows + kBlock - 1) / kBlock), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlock;
    HWY_DYNAMIC_DISPATCH(swiglu_backward_rows)
    (gate_up + first * 2 * columns, std::min(kBlock, rows - first), columns,
     dact + first * columns);
  });
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
