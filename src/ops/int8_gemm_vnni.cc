// Int8 blocks with AVX-512's dot products of four bytes (VPDPBUSD): unsigned activations broadcast,
// signed weights from memory, 8 rows x 48 outputs in registers.
#include "base/error.h"
#include "ops/int8_gemm_cpu.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#define NATIVO_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define NATIVO_VNNI_INLINE NATIVO_VNNI __attribute__((always_inline)) inline

namespace nativo::ops::cpu {
namespace {

constexpr std::int64_t kGroupBytes = kVnniOutputs * kVnniInputs;  // a vector
constexpr int kGroups = 3;
static_assert(kGroups * kVnniOutputs == kInt8Block);
// GCC 12 warns of the unmasked forms' undefined vectors.
constexpr __mmask16 kAll = 0xFFFF;

/// What the outputs of one vector need after the sums.
struct Outputs {
  __m512i shift;
  __m512 scale;
  __m512 reciprocal;  ///< of the scale
  __m512 bias;
  __mmask16 mask;
};

NATIVO_VNNI_INLINE Outputs outputs_of(const Int8Block& block, std::int64_t column) {
  const std::int64_t output = block.first + column;
  const std::int64_t count = std::clamp<std::int64_t>(block.outputs - column, 0, kVnniOutputs);
  const auto mask = static_cast<__mmask16>((1U << count) - 1U);
  const __m512 scale = _mm512_loadu_ps(block.weight->scales() + output);
  return {_mm512_loadu_si512(block.weight->shifts() + output), scale,
          _mm512_div_ps(_mm512_set1_ps(1.0F), scale),
          block.bias == nullptr ? _mm512_setzero_ps()
                                : _mm512_maskz_loadu_ps(mask, block.bias + output),
          mask};
}

/// `moderate`: no step of the division below can leave the normal numbers.
NATIVO_VNNI_INLINE void store(const Int8Block& block, const Outputs& outputs, __m512i sum,
                              __m512 inverse, bool moderate, float* y) {
  __m512 value = _mm512_maskz_cvtepi32_ps(kAll, _mm512_sub_epi32(sum, outputs.shift));
  value = _mm512_mul_ps(value, inverse);
  if (moderate) {
    // value / scale, correctly rounded: a quotient by the rounded reciprocal, corrected by its
    // exact remainder (Markstein, IBM J. Res. Dev. 34, 1990). Three operations, where a division
    // takes the time of ten.
    const __m512 quotient = _mm512_mul_ps(value, outputs.reciprocal);
    const __m512 remainder = _mm512_fnmadd_ps(quotient, outputs.scale, value);
    value = _mm512_fmadd_ps(remainder, outputs.reciprocal, quotient);
  } else {
    value = _mm512_div_ps(value, outputs.scale);
  }
  if (block.bias != nullptr) value = _mm512_add_ps(value, outputs.bias);
  if (block.relu) value = _mm512_maskz_max_ps(kAll, value, _mm512_setzero_ps());
  _mm512_mask_storeu_ps(y, outputs.mask, value);
}

/// kRows rows of three vectors of sums, in registers: a list rather than an array, which GCC would
/// keep in memory too.
template <int kRows>
struct Sums {
  __m512i sum0, sum1, sum2;
  Sums<kRows - 1> above;

  NATIVO_VNNI_INLINE void clear() {
    sum0 = sum1 = sum2 = _mm512_setzero_si512();
    above.clear();
  }
  NATIVO_VNNI_INLINE void add(const std::uint8_t* codes, std::int64_t stride, __m512i w0,
                              __m512i w1, __m512i w2) {
    std::int32_t four;
    std::memcpy(&four, codes + (kRows - 1) * stride, sizeof(four));
    const __m512i x = _mm512_set1_epi32(four);
    sum0 = _mm512_dpbusd_epi32(sum0, x, w0);
    sum1 = _mm512_dpbusd_epi32(sum1, x, w1);
    sum2 = _mm512_dpbusd_epi32(sum2, x, w2);
    above.add(codes, stride, w0, w1, w2);
  }
  NATIVO_VNNI_INLINE void finish(const Int8Block& block, std::int64_t row, const Outputs& outputs0,
                                 const Outputs& outputs1, const Outputs& outputs2) const {
    const std::int64_t own = row + kRows - 1;
    const __m512 inverse = _mm512_set1_ps(1.0F / block.scales[own]);
    const bool moderate = block.weight->moderate() && moderate_scale(block.scales[own]);
    float* y = block.y + own * block.y_stride;
    store(block, outputs0, sum0, inverse, moderate, y);
    store(block, outputs1, sum1, inverse, moderate, y + kVnniOutputs);
    store(block, outputs2, sum2, inverse, moderate, y + 2 * kVnniOutputs);
    above.finish(block, row, outputs0, outputs1, outputs2);
  }
};

template <>
struct Sums<0> {
  NATIVO_VNNI_INLINE void clear() {}
  NATIVO_VNNI_INLINE void add(const std::uint8_t* /*codes*/, std::int64_t /*stride*/,
                              __m512i /*w0*/, __m512i /*w1*/, __m512i /*w2*/) {}
  NATIVO_VNNI_INLINE void finish(const Int8Block& /*block*/, std::int64_t /*row*/,
                                 const Outputs& /*outputs0*/, const Outputs& /*outputs1*/,
                                 const Outputs& /*outputs2*/) const {}
};

/// Lines of memory that a tile asks for beside its work, one a step: the weights that come next.
/// The processor's own prefetcher has to find its way anew in every page.
struct Ahead {
  const std::int8_t* from;
  std::int64_t lines;
};

template <int kRows>
NATIVO_VNNI void tile(const Int8Block& block, std::int64_t row, std::int64_t inputs4,
                      const std::int8_t* weight, Ahead ahead) {
  const std::int64_t stride = inputs4 * kGroupBytes;
  const std::uint8_t* codes = block.codes + row * block.code_stride;
  Sums<kRows> sums;
  sums.clear();
  const auto add = [&](std::int64_t i) __attribute__((always_inline)) NATIVO_VNNI {
    const std::int8_t* w = weight + i * kGroupBytes;
    sums.add(codes + i * kVnniInputs, block.code_stride, _mm512_loadu_si512(w),
             _mm512_loadu_si512(w + stride), _mm512_loadu_si512(w + 2 * stride));
  };
  std::int64_t i = 0;
  for (; i < ahead.lines; ++i) {
    __builtin_prefetch(ahead.from + i * kGroupBytes, 0, 2);
    add(i);
  }
  for (; i < inputs4; ++i) add(i);
  sums.finish(block, row, outputs_of(block, 0), outputs_of(block, kVnniOutputs),
              outputs_of(block, 2 * kVnniOutputs));
}

/// What a tile asks for: of the three lines a step that the next block has, the share that falls to
/// its rows.
class NextBlock {
 public:
  NextBlock(const std::int8_t* next, std::int64_t inputs4, std::int64_t rows)
      : next_(next), lines_(next == nullptr ? 0 : kGroups * inputs4), most_(inputs4), rows_(rows) {}

  Ahead share(std::int64_t row, std::int64_t count) const {
    const std::int64_t begin = lines_ * row / rows_;
    const std::int64_t end = lines_ * (row + count) / rows_;
    return {next_ + begin * kGroupBytes, std::min(end - begin, most_)};
  }

 private:
  const std::int8_t* next_;
  std::int64_t lines_;
  std::int64_t most_;
  std::int64_t rows_;
};

}  // namespace

bool has_vnni() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
      __builtin_cpu_supports("avx512vnni") != 0;
  return supported;
}

void int8_block_vnni(const Int8Block& block) {
  // The packed weight is padded to whole blocks.
  const std::int64_t inputs4 = (block.weight->inputs() + kVnniInputs - 1) / kVnniInputs;
  const std::int8_t* weight =
      block.weight->packed() + block.first / kVnniOutputs * inputs4 * kGroupBytes;
  const bool last = block.first + kInt8Block >= block.weight->outputs();
  const NextBlock next(last ? nullptr : weight + kGroups * inputs4 * kGroupBytes, inputs4,
                       block.rows);
  std::int64_t row = 0;
  for (; row + 8 <= block.rows; row += 8) {
    tile<8>(block, row, inputs4, weight, next.share(row, 8));
  }
  for (; row + 4 <= block.rows; row += 4) {
    tile<4>(block, row, inputs4, weight, next.share(row, 4));
  }
  for (; row < block.rows; ++row) tile<1>(block, row, inputs4, weight, next.share(row, 1));
}

}  // namespace nativo::ops::cpu

#else

namespace nativo::ops::cpu {

bool has_vnni() { return false; }

void int8_block_vnni(const Int8Block& /*block*/) {
  NATIVO_CHECK(false, "this processor has no VNNI");
}

}  // namespace nativo::ops::cpu

#endif
