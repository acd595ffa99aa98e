// Vector helpers for the kernels: loads and stores of at most a vector. Included once per target.
// Rule: only from files that Highway compiles per target, inside no namespace.
#if defined(NATIVO_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NATIVO_OPS_SIMD_INL_H_
#undef NATIVO_OPS_SIMD_INL_H_
#else
#define NATIVO_OPS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;

inline HWY_ATTR std::int64_t float_lanes() {
  return static_cast<std::int64_t>(hn::Lanes(FloatTag()));
}

/// The first `count` floats at `from`, zeros behind them when `count` is less than a vector.
HWY_INLINE FloatVec load_up_to(const float* from, std::int64_t count) {
  const FloatTag d;
  if (count >= float_lanes()) return hn::LoadU(d, from);
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  for (std::int64_t i = 0; i < count; ++i) part[i] = from[i];
  return hn::Load(d, part);
}

/// Stores at most the first `count` floats.
HWY_INLINE void store_up_to(FloatVec value, float* to, std::int64_t count) {
  const FloatTag d;
  if (count >= float_lanes()) {
    hn::StoreU(value, d, to);
    return;
  }
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(value, d, part);
  for (std::int64_t i = 0; i < count; ++i) to[i] = part[i];
}

HWY_INLINE float sum_lanes(FloatVec value) {
  return hn::GetLane(hn::SumOfLanes(FloatTag(), value));
}

/// e^x by Cody-Waite reduction and the minimax polynomial of Cephes' expf (netlib.org/cephes), for
/// x in [-87, 88]; elsewhere anything, but a NaN stays one.
HWY_INLINE FloatVec exp_in_range(FloatVec x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504088896341F)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), r);
  auto p = hn::Set(d, 1.9875691500e-4F);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1F));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0F));
  const auto scale =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127))));
  return hn::Mul(p, scale);
}

/// e^x to 2 ULP for x in [-87, 88]; 0 below, as softmax wants (never a subnormal).
HWY_INLINE FloatVec exp_fast(FloatVec x) {
  const FloatTag d;
  const auto low = hn::Set(d, -87.0F);
  const auto value = exp_in_range(hn::Max(hn::Min(x, hn::Set(d, 88.0F)), low));
  // A NaN must stay one: it fails the comparison and Max may have dropped it.
  return hn::IfThenElse(hn::IsNaN(x), x, hn::IfThenElseZero(hn::Ge(x, low), value));
}

/// The same for x that is at most 0 or a NaN.
HWY_INLINE FloatVec exp_of_negative(FloatVec x) {
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(FloatTag(), -87.0F)), exp_in_range(x));
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
