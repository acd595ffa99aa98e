// The AdamW update, a piece of the tensor at a time: moments in f32 and in bf16.
#include "ops/adamw_cpu.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/adamw-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// Calls block(at, value, gradient, m, v) for every kNoiseGroup elements of a piece; the last,
/// shorter ones are copied to full length and back.
template <class Moment, class Block>
HWY_INLINE void for_groups(std::int64_t count, float* value, const float* gradient, Moment* m,
                           Moment* v, const Block& block) {
  std::int64_t at = 0;
  for (; at + kNoiseGroup <= count; at += kNoiseGroup) {
    block(at, value + at, gradient + at, m + at, v + at);
  }
  const std::int64_t left = count - at;
  if (left == 0) return;
  float values[kNoiseGroup] = {};
  float gradients[kNoiseGroup] = {};
  Moment first[kNoiseGroup] = {};
  Moment second[kNoiseGroup] = {};
  std::copy_n(value + at, left, values);
  std::copy_n(gradient + at, left, gradients);
  std::copy_n(m + at, left, first);
  std::copy_n(v + at, left, second);
  block(at, values, gradients, first, second);
  std::copy_n(values, left, value + at);
  std::copy_n(first, left, m + at);
  std::copy_n(second, left, v + at);
}

void adamw_piece(const AdamW& options, std::int64_t count, float* value, const float* gradient,
                 float* m, float* v) {
  const AdamTag d;
  const AdamWFactors by(options);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for_groups(count, value, gradient, m, v,
             [&](std::int64_t /*at*/, float* values, const float* gradients, float* first,
                 float* second) HWY_ATTR {
               for (std::int64_t i = 0; i < kNoiseGroup; i += lanes) {
                 auto new_first = hn::LoadU(d, first + i);
                 auto new_second = hn::LoadU(d, second + i);
                 update_vector(by, gradients + i, values + i, new_first, new_second);
                 hn::StoreU(new_first, d, first + i);
                 hn::StoreU(new_second, d, second + i);
               }
             });
}

using HalfTag = hn::Rebind<std::uint16_t, AdamTag>;

HWY_INLINE AdamVec load_bf16(const std::uint16_t* from) {
  const AdamBitsTag du;
  return hn::BitCast(AdamTag(), hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(HalfTag(), from))));
}

/// Rounds up when the 16 bits that are cut off plus `noise`, below 2^16, carry.
HWY_INLINE void store_bf16(AdamVec value, AdamBits noise, std::uint16_t* to) {
  const AdamBitsTag du;
  const auto bits = hn::ShiftRight<16>(hn::Add(hn::BitCast(du, value), noise));
  hn::StoreU(hn::TruncateTo(HalfTag(), bits), HalfTag(), to);
}

/// `begin` is the piece's first element in its tensor.
void adamw_bf16_piece(const AdamW& options, const RoundingNoise& noise, std::int64_t begin,
                      std::int64_t count, float* value, const float* gradient, std::uint16_t* m,
                      std::uint16_t* v) {
  const AdamBitsTag du;
  const AdamWFactors by(options);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(du));
  for_groups(count, value, gradient, m, v,
             [&](std::int64_t at, float* values, const float* gradients, std::uint16_t* first,
                 std::uint16_t* second) HWY_ATTR {
               std::uint32_t words[kNoiseGroup];
               noise_group(noise, options.step, noise.first + begin + at, words);
               for (std::int64_t i = 0; i < kNoiseGroup; i += lanes) {
                 auto new_first = load_bf16(first + i);
                 auto new_second = load_bf16(second + i);
                 update_vector(by, gradients + i, values + i, new_first, new_second);
                 const auto word = hn::LoadU(du, words + i);
                 store_bf16(new_first, hn::And(word, hn::Set(du, 0xFFFFU)), first + i);
                 store_bf16(new_second, hn::ShiftRight<16>(word), second + i);
               }
             });
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(adamw_piece);
HWY_EXPORT(adamw_bf16_piece);
constexpr std::int64_t kPiece = 32768;

/// Calls body(begin, size) for all pieces on all threads.
template <class Body>
void for_pieces(std::int64_t count, const Body& body) {
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    body(begin, std::min(kPiece, count - begin));
  });
}
}  // namespace

void cpu::adamw(const AdamW& options, std::int64_t count, float* value, const float* gradient,
                float* m, float* v) {
  for_pieces(count, [&](std::int64_t begin, std::int64_t size) {
    HWY_DYNAMIC_DISPATCH(adamw_piece)
    (options, size, value + begin, gradient + begin, m + begin, v + begin);
  });
}

void cpu::adamw_bf16(const AdamW& options, const RoundingNoise& noise, std::int64_t count,
                     float* value, const float* gradient, std::uint16_t* m, std::uint16_t* v) {
  for_pieces(count, [&](std::int64_t begin, std::int64_t size) {
    HWY_DYNAMIC_DISPATCH(adamw_bf16_piece)
    (options, noise, begin, size, value + begin, gradient + begin, m + begin, v + begin);
  });
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
