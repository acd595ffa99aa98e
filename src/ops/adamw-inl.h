// What the AdamW kernels of all state types share: the update of a vector, the rounding's random
// numbers, the walk over blocks. Included once per target.
// Rule: only from files that Highway compiles per target, inside no namespace.
#if defined(NATIVO_OPS_ADAMW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NATIVO_OPS_ADAMW_INL_H_
#undef NATIVO_OPS_ADAMW_INL_H_
#else
#define NATIVO_OPS_ADAMW_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "ops/adamw.h"
#include "ops/adamw_math.h"
#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// At most 16 lanes, so that a block is a whole number of vectors and of noise groups.
using AdamTag = hn::CappedTag<float, 16>;
using AdamVec = hn::Vec<AdamTag>;
using AdamBitsTag = hn::RebindToUnsigned<AdamTag>;
using AdamBits = hn::Vec<AdamBitsTag>;

/// Elements between two repetitions of the noise's layout.
inline constexpr std::int64_t kNoiseGroup = 64;

/// Updates a vector of values; `first` and `second` become the new moments.
HWY_INLINE void update_vector(const AdamWFactors& by, const float* gradient, float* value,
                              AdamVec& first, AdamVec& second) {
  const AdamTag d;
  const auto g = hn::Mul(hn::LoadU(d, gradient), hn::Set(d, by.scale));
  first = hn::MulAdd(hn::Set(d, by.beta1), first, hn::Mul(hn::Set(d, by.rest1), g));
  second = hn::MulAdd(hn::Set(d, by.beta2), second, hn::Mul(hn::Set(d, by.rest2), hn::Mul(g, g)));
  first = hn::IfThenZeroElse(hn::Lt(hn::Abs(first), hn::Set(d, 1e-30F)), first);
  second = hn::IfThenZeroElse(hn::Lt(second, hn::Set(d, 1e-37F)), second);
  const auto divisor = hn::Add(hn::Sqrt(hn::Mul(second, hn::Set(d, by.root))), hn::Set(d, by.eps));
  const auto decayed = hn::Mul(hn::LoadU(d, value), hn::Set(d, by.keep));
  hn::StoreU(hn::MulAdd(hn::Set(d, by.rate), hn::Div(first, divisor), decayed), d, value);
}

/// The upper and the lower half of 32 x 32 bit products, lane by lane.
HWY_INLINE void multiply_wide(AdamBits a, AdamBits b, AdamBits& high, AdamBits& low) {
  const AdamBitsTag du;
#if HWY_TARGET == HWY_SCALAR
  // One lane holds no product of 64 bits.
  const std::uint64_t product = std::uint64_t{hn::GetLane(a)} * hn::GetLane(b);
  high = hn::Set(du, static_cast<std::uint32_t>(product >> 32));
  low = hn::Set(du, static_cast<std::uint32_t>(product));
#else
  const hn::Repartition<std::uint64_t, AdamBitsTag> dw;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(dw, a))),
                               hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(dw, b))));
  high = hn::OddEven(hn::BitCast(du, odd), hn::BitCast(du, hn::ShiftRight<32>(even)));
  low = hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(odd)), hn::BitCast(du, even));
#endif
}

/// The noise of the kNoiseGroup elements from `first` (a multiple of it) on, as RoundingNoise says.
HWY_INLINE void noise_group(const RoundingNoise& noise, std::int64_t step, std::int64_t first,
                            std::uint32_t* HWY_RESTRICT words) {
  const AdamBitsTag du;
  const std::size_t lanes = hn::Lanes(du);
  constexpr std::uint32_t kDomain = 0x6164616D;  // "adam"
  for (std::size_t at = 0; at < 16; at += lanes) {
    auto c0 = hn::Iota(du, static_cast<std::uint32_t>(first / 4) + static_cast<std::uint32_t>(at));
    auto c1 = hn::Set(du, kDomain);
    auto c2 = hn::Set(du, static_cast<std::uint32_t>(step));
    auto c3 = hn::Set(du, noise.tensor);
    auto key0 = static_cast<std::uint32_t>(noise.seed);
    auto key1 = static_cast<std::uint32_t>(noise.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      AdamBits high0;
      AdamBits low0;
      AdamBits high1;
      AdamBits low1;
      multiply_wide(c0, hn::Set(du, 0xD2511F53U), high0, low0);
      multiply_wide(c2, hn::Set(du, 0xCD9E8D57U), high1, low1);
      c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(du, key0));
      c1 = low1;
      c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(du, key1));
      c3 = low0;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    hn::StoreU(c0, du, words + at);
    hn::StoreU(c1, du, words + 16 + at);
    hn::StoreU(c2, du, words + 32 + at);
    hn::StoreU(c3, du, words + 48 + at);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
