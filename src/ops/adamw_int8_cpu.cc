// The AdamW update with 8-bit moments, a block at a time: decoded, updated, coded again.
#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "ops/adamw_cpu.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw_int8_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/adamw-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

using AdamIntTag = hn::RebindToSigned<AdamTag>;

HWY_INLINE AdamVec decode_first(const std::int8_t* codes, float scale) {
  const AdamTag d;
  const auto code = hn::ConvertTo(
      d, hn::PromoteTo(AdamIntTag(), hn::LoadU(hn::Rebind<std::int8_t, AdamTag>(), codes)));
  const auto step = hn::Set(d, scale * (1.0F / (kFirstCodes * kFirstCodes)));
  return hn::Mul(hn::Mul(code, hn::Abs(code)), step);
}

HWY_INLINE AdamVec decode_second(const std::uint8_t* codes, float scale) {
  const AdamTag d;
  const auto code = hn::ConvertTo(
      d, hn::PromoteTo(AdamIntTag(), hn::LoadU(hn::Rebind<std::uint8_t, AdamTag>(), codes)));
  const auto root = hn::Mul(code, hn::Set(d, 1.0F / kSecondCodes));
  const auto square = hn::Mul(root, root);
  return hn::Mul(hn::Mul(square, square), hn::Set(d, scale));
}

/// Uniform in (0, 1) from 16 bits.
HWY_INLINE AdamVec uniform(AdamBits bits) {
  const AdamTag d;
  const auto number = hn::ConvertTo(d, hn::BitCast(AdamIntTag(), bits));
  return hn::Mul(hn::Add(number, hn::Set(d, 0.5F)), hn::Set(d, 1.0F / 65536.0F));
}

/// With y = (127)^2 |m| / scale, the code is floor(sqrt(y)) = k or k + 1, the latter with the
/// probability (y - k^2) / ((k+1)^2 - k^2), which makes the decoded mean m.
HWY_INLINE void encode_first(AdamVec m, AdamVec inverse, AdamVec random, std::int8_t* codes) {
  const AdamTag d;
  const auto one = hn::Set(d, 1.0F);
  const auto y = hn::Mul(hn::Abs(m), inverse);
  const auto k = hn::Floor(hn::Sqrt(y));
  const auto gap = hn::Add(hn::Add(k, k), one);
  const auto above = hn::Sub(y, hn::Mul(k, k));
  const auto up = hn::Lt(hn::Mul(random, gap), above);
  const auto code = hn::Min(hn::Add(k, hn::IfThenElseZero(up, one)), hn::Set(d, kFirstCodes));
  const auto number = hn::ConvertTo(AdamIntTag(), hn::CopySign(code, m));
  hn::StoreU(hn::DemoteTo(hn::Rebind<std::int8_t, AdamTag>(), number),
             hn::Rebind<std::int8_t, AdamTag>(), codes);
}

/// The same with the fourth root, and no 0 for a v > 0.
HWY_INLINE void encode_second(AdamVec v, AdamVec inverse, AdamVec random, std::uint8_t* codes) {
  const AdamTag d;
  const auto one = hn::Set(d, 1.0F);
  const auto y = hn::Mul(v, inverse);
  const auto k = hn::Floor(hn::Sqrt(hn::Sqrt(y)));
  const auto square = hn::Mul(k, k);
  const auto next = hn::Add(k, one);
  const auto next_square = hn::Mul(next, next);
  const auto below = hn::Mul(square, square);
  const auto gap = hn::Sub(hn::Mul(next_square, next_square), below);
  const auto up = hn::Lt(hn::Mul(random, gap), hn::Sub(y, below));
  auto code = hn::Min(hn::Add(k, hn::IfThenElseZero(up, one)), hn::Set(d, kSecondCodes));
  code = hn::Max(code, hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), one));
  const auto number = hn::ConvertTo(AdamIntTag(), code);
  hn::StoreU(hn::DemoteTo(hn::Rebind<std::uint8_t, AdamTag>(), number),
             hn::Rebind<std::uint8_t, AdamTag>(), codes);
}

struct Int8Block {
  float* value;
  const float* gradient;
  std::int8_t* m;
  std::uint8_t* v;
  float* m_scale;
  float* v_scale;
};

/// A whole block; `first` is its first element in the tensor.
HWY_INLINE void int8_block(const AdamWFactors& by, const RoundingNoise& noise, std::int64_t step,
                           std::int64_t first, const Int8Block& block) {
  const AdamTag d;
  const AdamBitsTag du;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN float new_first[kMomentBlock];
  HWY_ALIGN float new_second[kMomentBlock];
  std::uint32_t words[kMomentBlock];
  for (std::int64_t at = 0; at < kMomentBlock; at += kNoiseGroup) {
    noise_group(noise, step, first + at, words + at);
  }
  auto most_first = hn::Zero(d);
  auto most_second = hn::Zero(d);
  for (std::int64_t i = 0; i < kMomentBlock; i += lanes) {
    auto m = decode_first(block.m + i, *block.m_scale);
    auto v = decode_second(block.v + i, *block.v_scale);
    update_vector(by, block.gradient + i, block.value + i, m, v);
    most_first = hn::Max(most_first, hn::Abs(m));
    most_second = hn::Max(most_second, v);
    hn::Store(m, d, new_first + i);
    hn::Store(v, d, new_second + i);
  }
  const float m_scale = hn::GetLane(hn::MaxOfLanes(d, most_first));
  const float v_scale = hn::GetLane(hn::MaxOfLanes(d, most_second));
  // Divided in two steps: 255^4 / 1e-37 is beyond f32.
  const float m_inverse = m_scale > 0.0F ? kFirstCodes * kFirstCodes / m_scale : 0.0F;
  const float v_inverse = v_scale > 0.0F ? 1.0F / v_scale : 0.0F;
  *block.m_scale = m_scale;
  *block.v_scale = v_scale;
  for (std::int64_t i = 0; i < kMomentBlock; i += lanes) {
    const auto word = hn::LoadU(du, words + i);
    encode_first(hn::Load(d, new_first + i), hn::Set(d, m_inverse),
                 uniform(hn::And(word, hn::Set(du, 0xFFFFU))), block.m + i);
    const auto relative = hn::Mul(hn::Load(d, new_second + i), hn::Set(d, v_inverse));
    encode_second(relative, hn::Set(d, kSecondFull), uniform(hn::ShiftRight<16>(word)),
                  block.v + i);
  }
}

/// `begin`, a multiple of kMomentBlock, is the piece's first element in its tensor.
void adamw_int8_piece(const AdamW& options, const RoundingNoise& noise, std::int64_t begin,
                      std::int64_t count, float* value, const float* gradient,
                      const Int8Moments& moments) {
  const AdamWFactors by(options);
  for (std::int64_t at = begin; at < begin + count; at += kMomentBlock) {
    const std::int64_t left = std::min(kMomentBlock, begin + count - at);
    Int8Block block{value + at,
                    gradient + at,
                    moments.m.data() + at,
                    moments.v.data() + at,
                    moments.m_scale.data() + at / kMomentBlock,
                    moments.v_scale.data() + at / kMomentBlock};
    if (left == kMomentBlock) {
      int8_block(by, noise, options.step, noise.first + at, block);
      continue;
    }
    float values[kMomentBlock] = {};
    float gradients[kMomentBlock] = {};
    std::int8_t first[kMomentBlock] = {};
    std::uint8_t second[kMomentBlock] = {};
    std::copy_n(block.value, left, values);
    std::copy_n(block.gradient, left, gradients);
    std::copy_n(block.m, left, first);
    std::copy_n(block.v, left, second);
    int8_block(by, noise, options.step, noise.first + at,
               {values, gradients, first, second, block.m_scale, block.v_scale});
    std::copy_n(values, left, block.value);
    std::copy_n(first, left, block.m);
    std::copy_n(second, left, block.v);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(adamw_int8_piece);
constexpr std::int64_t kPiece = 256 * kMomentBlock;
}  // namespace

void cpu::adamw_int8(const AdamW& options, const RoundingNoise& noise, std::int64_t count,
                     float* value, const float* gradient, const Int8Moments& moments) {
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    HWY_DYNAMIC_DISPATCH(adamw_int8_piece)
    (options, noise, begin, std::min(kPiece, count - begin), value, gradient, moments);
  });
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
