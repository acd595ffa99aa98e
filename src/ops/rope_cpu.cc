// The rotation, a few rows at a time.
#include "ops/rope_cpu.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

void rope_rows(const cpu::Rope& rope, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const auto sign = hn::Set(d, rope.sign);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* cosine = rope.cosine + rope.positions[row] * rope.half;
    const float* sine = rope.sine + rope.positions[row] * rope.half;
    for (std::int64_t head = 0; head < rope.heads; ++head) {
      float* first = rope.x + row * rope.row_stride + head * 2 * rope.half;
      float* second = first + rope.half;
      for (std::int64_t i = 0; i < rope.half; i += float_lanes()) {
        const std::int64_t left = rope.half - i;
        const auto a = load_up_to(first + i, left);
        const auto b = load_up_to(second + i, left);
        const auto c = load_up_to(cosine + i, left);
        const auto s = hn::Mul(sign, load_up_to(sine + i, left));
        store_up_to(hn::NegMulAdd(b, s, hn::Mul(a, c)), first + i, left);
        store_up_to(hn::MulAdd(a, s, hn::Mul(b, c)), second + i, left);
      }
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(rope_rows);
constexpr std::int64_t kBlock = 64;
}  // namespace

void cpu::rope(const Rope& rope, std::int64_t rows) {
  parallel_for(static_cast<std::size_t>((rows + kBlock - 1) / kBlock), [&](std::size_t block) {
    const std::int64_t begin = static_cast<std::int64_t>(block) * kBlock;
    HWY_DYNAMIC_DISPATCH(rope_rows)(rope, begin, std::min(begin + kBlock, rows));
  });
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
