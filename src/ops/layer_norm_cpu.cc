// Layer normalisation kernels, a row at a time.
#include "ops/layer_norm_cpu.h"

#include <algorithm>
#include <cmath>

#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/layer_norm_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

void layer_norm_rows(const float* x, const float* gamma, const float* beta, float eps,
                     std::int64_t rows, std::int64_t columns, float* y) {
  const FloatTag d;
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * columns;
    float* to = y + row * columns;
    auto sum = hn::Zero(d);
    auto squares = hn::Zero(d);
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const auto value = load_up_to(from + i, columns - i);
      sum = hn::Add(sum, value);
      squares = hn::MulAdd(value, value, squares);
    }
    const float count = static_cast<float>(columns);
    const float mean = sum_lanes(sum) / count;
    const float variance = std::max(sum_lanes(squares) / count - mean * mean, 0.0F);
    const auto middle = hn::Set(d, mean);
    const auto rstd = hn::Set(d, 1.0F / std::sqrt(variance + eps));
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const std::int64_t left = columns - i;
      const auto normed = hn::Mul(hn::Sub(load_up_to(from + i, left), middle), rstd);
      store_up_to(hn::MulAdd(normed, load_up_to(gamma + i, left), load_up_to(beta + i, left)),
                  to + i, left);
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(layer_norm_rows);
}  // namespace

namespace cpu {

void layer_norm_rows(const float* x, const float* gamma, const float* beta, float eps,
                     std::int64_t rows, std::int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(layer_norm_rows)(x, gamma, beta, eps, rows, columns, y);
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
