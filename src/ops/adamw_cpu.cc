// The AdamW update, a piece of the tensor at a time.
#include "ops/adamw_cpu.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

void adamw_piece(const AdamW& options, std::int64_t count, float* value, const float* gradient,
                 float* m, float* v) {
  const FloatTag d;
  const auto step = static_cast<double>(options.step);
  const double correction1 = 1.0 - std::pow(static_cast<double>(options.beta1), step);
  const double correction2 = 1.0 - std::pow(static_cast<double>(options.beta2), step);
  const auto scale = hn::Set(d, options.gradient_scale);
  const auto beta1 = hn::Set(d, options.beta1);
  const auto beta2 = hn::Set(d, options.beta2);
  const auto rest1 = hn::Set(d, 1.0F - options.beta1);
  const auto rest2 = hn::Set(d, 1.0F - options.beta2);
  const auto rate = hn::Set(d, static_cast<float>(-options.lr / correction1));
  const auto root = hn::Set(d, static_cast<float>(1.0 / correction2));
  const auto eps = hn::Set(d, options.eps);
  const auto keep = hn::Set(d, 1.0F - options.lr * options.weight_decay);
  const auto least_m = hn::Set(d, 1e-30F);
  const auto least_v = hn::Set(d, 1e-37F);
  for (std::int64_t i = 0; i < count; i += float_lanes()) {
    const std::int64_t left = count - i;
    const auto g = hn::Mul(load_up_to(gradient + i, left), scale);
    auto first = hn::MulAdd(beta1, load_up_to(m + i, left), hn::Mul(rest1, g));
    auto second = hn::MulAdd(beta2, load_up_to(v + i, left), hn::Mul(rest2, hn::Mul(g, g)));
    first = hn::IfThenZeroElse(hn::Lt(hn::Abs(first), least_m), first);
    second = hn::IfThenZeroElse(hn::Lt(second, least_v), second);
    const auto divisor = hn::Add(hn::Sqrt(hn::Mul(second, root)), eps);
    const auto decayed = hn::Mul(load_up_to(value + i, left), keep);
    store_up_to(hn::MulAdd(rate, hn::Div(first, divisor), decayed), value + i, left);
    store_up_to(first, m + i, left);
    store_up_to(second, v + i, left);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(adamw_piece);
constexpr std::int64_t kPiece = 32768;
}  // namespace

void cpu::adamw(const AdamW& options, std::int64_t count, float* value, const float* gradient,
                float* m, float* v) {
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    HWY_DYNAMIC_DISPATCH(adamw_piece)
    (options, std::min(kPiece, count - begin), value + begin, gradient + begin, m + begin,
     v + begin);
  });
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
