// Blocks of 64 weights to codes and back, vector by vector.
#include "ops/quantize_cpu.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantize_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;
using ByteTag = hn::Rebind<std::uint8_t, FloatTag>;
using SignedByteTag = hn::Rebind<std::int8_t, FloatTag>;

/// kNf4Levels[index] for each lane; the table stays in a register where one vector holds it.
HWY_INLINE FloatVec nf4_level(hn::Vec<IntTag> index) {
  const FloatTag d;
#if HWY_TARGET <= HWY_AVX3
  return hn::TableLookupLanes(hn::LoadU(d, kNf4Levels), hn::IndicesFromVec(d, index));
#else
  return hn::GatherIndex(d, kNf4Levels, index);
#endif
}

/// A block of 64 weights. Vectors have at most 16 lanes on the targets of simd_targets.h, so that
/// half a block is a whole number of them.
HWY_INLINE void decode_int8(const std::uint8_t* codes, float scale, float* to) {
  const FloatTag d;
  const auto factor = hn::Set(d, scale * (1.0F / 127.0F));
  for (std::int64_t i = 0; i < kQuantBlock; i += float_lanes()) {
    const auto bytes = hn::LoadU(SignedByteTag(), reinterpret_cast<const std::int8_t*>(codes) + i);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, hn::PromoteTo(IntTag(), bytes)), factor), d, to + i);
  }
}

HWY_INLINE void decode_nf4(const std::uint8_t* codes, float scale, float* to) {
  const FloatTag d;
  const IntTag di;
  const auto factor = hn::Set(d, scale);
  for (std::int64_t i = 0; i < kQuantBlock / 2; i += float_lanes()) {
    const auto both = hn::PromoteTo(di, hn::LoadU(ByteTag(), codes + i));
    const auto low = hn::And(both, hn::Set(di, 15));
    const auto high = hn::ShiftRight<4>(both);
    hn::StoreU(hn::Mul(nf4_level(low), factor), d, to + i);
    hn::StoreU(hn::Mul(nf4_level(high), factor), d, to + kQuantBlock / 2 + i);
  }
}

void decode_blocks(QuantFormat format, const std::uint8_t* codes, const float* scales,
                   std::int64_t columns, float* row) {
  const bool nf4 = format == QuantFormat::kNf4;
  const std::int64_t block_bytes = nf4 ? kQuantBlock / 2 : kQuantBlock;
  float part[kQuantBlock];
  for (std::int64_t first = 0; first < columns; first += kQuantBlock) {
    const std::int64_t count = std::min(kQuantBlock, columns - first);
    float* to = count == kQuantBlock ? row + first : part;
    if (nf4) {
      decode_nf4(codes, *scales, to);
    } else {
      decode_int8(codes, *scales, to);
    }
    if (to == part) std::memcpy(row + first, part, static_cast<std::size_t>(count) * sizeof(float));
    codes += block_bytes;
    ++scales;
  }
}

/// Codes of 64 weights, one an int. Nearest level; ties go to the level of lesser value.
HWY_INLINE void encode_block(QuantFormat format, const float* from, float scale, std::int32_t* to) {
  const FloatTag d;
  const IntTag di;
  const bool nf4 = format == QuantFormat::kNf4;
  // Below this a scale has no finite inverse; such a block is all zero to any product.
  const auto inverse = hn::Set(d, scale >= 1e-37F ? 1.0F / scale : 0.0F);
  const auto one = hn::Set(d, 1.0F);
  for (std::int64_t i = 0; i < kQuantBlock; i += float_lanes()) {
    auto x = hn::Mul(hn::LoadU(d, from + i), inverse);
    // A doubly quantised scale may be smaller than the weight it was made from.
    x = hn::Min(hn::Max(x, hn::Neg(one)), one);
    if (nf4) {
      auto code = hn::Zero(di);
      for (int level = 0; level < 15; ++level) {
        const auto middle = hn::Set(d, 0.5F * (kNf4Levels[level] + kNf4Levels[level + 1]));
        const auto above = hn::RebindMask(di, hn::Gt(x, middle));
        code = hn::Add(code, hn::IfThenElseZero(above, hn::Set(di, 1)));
      }
      hn::StoreU(code, di, to + i);
    } else {
      hn::StoreU(hn::NearestInt(hn::Mul(x, hn::Set(d, 127.0F))), di, to + i);
    }
  }
}

void encode_blocks(QuantFormat format, const float* row, std::int64_t columns, const float* scales,
                   std::uint8_t* codes) {
  std::array<std::int32_t, kQuantBlock> code{};
  std::array<float, kQuantBlock> part{};
  for (std::int64_t first = 0; first < columns; first += kQuantBlock) {
    const std::int64_t count = std::min(kQuantBlock, columns - first);
    const float* from = row + first;
    if (count < kQuantBlock) {
      part.fill(0.0F);
      std::copy_n(from, count, part.begin());
      from = part.data();
    }
    encode_block(format, from, *scales++, code.data());
    if (format == QuantFormat::kNf4) {
      for (std::size_t i = 0; i < kQuantBlock / 2; ++i) {
        *codes++ = static_cast<std::uint8_t>(code[i] | (code[i + kQuantBlock / 2] << 4));
      }
    } else {
      for (const std::int32_t value : code) *codes++ = static_cast<std::uint8_t>(value);
    }
  }
}

void block_absmax(const float* row, std::int64_t columns, float* scales) {
  const FloatTag d;
  for (std::int64_t first = 0; first < columns; first += kQuantBlock) {
    const std::int64_t end = std::min(first + kQuantBlock, columns);
    auto greatest = hn::Zero(d);
    auto unfit = hn::Zero(d);  // x - x is 0, or NaN when x is not finite
    for (std::int64_t i = first; i < end; i += float_lanes()) {
      const auto x = load_up_to(row + i, end - i);
      greatest = hn::Max(greatest, hn::Abs(x));
      unfit = hn::Add(unfit, hn::Sub(x, x));
    }
    *scales++ = hn::GetLane(hn::MaxOfLanes(d, greatest)) + sum_lanes(unfit);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(block_absmax);
HWY_EXPORT(encode_blocks);
HWY_EXPORT(decode_blocks);
}  // namespace

void cpu::block_scales(const float* row, std::int64_t columns, float* scales) {
  HWY_DYNAMIC_DISPATCH(block_absmax)(row, columns, scales);
}

void cpu::encode_row(QuantFormat format, const float* row, std::int64_t columns,
                     const float* scales, std::uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(encode_blocks)(format, row, columns, scales, codes);
}

void cpu::decode_row(QuantFormat format, const std::uint8_t* codes, const float* scales,
                     std::int64_t columns, float* row) {
  HWY_DYNAMIC_DISPATCH(decode_blocks)(format, codes, scales, columns, row);
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
