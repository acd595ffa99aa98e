// Int8 blocks with AVX-512's dot products of four bytes (VPDPBUSD): unsigned activations broadcast,
// signed weights from memory, 8 rows x 48 outputs in registers.
#include "base/error.h"
#include "ops/int8_gemm_cpu.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#define NATIVO_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

namespace nativo::ops::cpu {
namespace {

constexpr std::int64_t kGroupBytes = kVnniOutputs * kVnniInputs;  // a vector
// GCC 12 warns of the unmasked forms' undefined vectors.
constexpr __mmask16 kAll = 0xFFFF;

/// kRows rows and kGroups vectors of 16 outputs.
template <int kRows, int kGroups>
NATIVO_VNNI inline void tile(const Int8Block& block, std::int64_t row, std::int64_t inputs4,
                             const std::int8_t* weight) {
  const std::int64_t stride = inputs4 * kGroupBytes;
  const std::uint8_t* codes = block.codes + row * block.code_stride;
  __m512i sums[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm512_setzero_si512();
  }
  for (std::int64_t i = 0; i < inputs4; ++i) {
    __m512i w[kGroups];
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) {
      w[g] = _mm512_loadu_si512(weight + g * stride + i * kGroupBytes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      std::int32_t four;
      std::memcpy(&four, codes + r * block.code_stride + i * kVnniInputs, sizeof(four));
      const __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 3
      for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm512_dpbusd_epi32(sums[r][g], x, w[g]);
    }
  }
#pragma GCC unroll 3
  for (int g = 0; g < kGroups; ++g) {
    const std::int64_t column = g * kVnniOutputs;
    const std::int64_t output = block.first + column;
    const std::int64_t count = std::min(kVnniOutputs, block.outputs - column);
    const auto mask = static_cast<__mmask16>((1U << count) - 1U);
    const __m512i shift = _mm512_loadu_si512(block.weight->shifts() + output);
    const __m512 scale = _mm512_loadu_ps(block.weight->scales() + output);
    const __m512 bias = block.bias == nullptr ? _mm512_setzero_ps()
                                              : _mm512_maskz_loadu_ps(mask, block.bias + output);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      __m512 value = _mm512_maskz_cvtepi32_ps(kAll, _mm512_sub_epi32(sums[r][g], shift));
      value = _mm512_mul_ps(value, _mm512_set1_ps(1.0F / block.scales[row + r]));
      value = _mm512_div_ps(value, scale);
      if (block.bias != nullptr) value = _mm512_add_ps(value, bias);
      if (block.relu) value = _mm512_maskz_max_ps(kAll, value, _mm512_setzero_ps());
      _mm512_mask_storeu_ps(block.y + (row + r) * block.y_stride + column, mask, value);
    }
  }
}

template <int kGroups>
NATIVO_VNNI void all_rows(const Int8Block& block) {
  const std::int64_t inputs4 = (block.weight->inputs() + kVnniInputs - 1) / kVnniInputs;
  const std::int8_t* weight =
      block.weight->packed() + block.first / kVnniOutputs * inputs4 * kGroupBytes;
  std::int64_t row = 0;
  for (; row + 8 <= block.rows; row += 8) tile<8, kGroups>(block, row, inputs4, weight);
  for (; row + 4 <= block.rows; row += 4) tile<4, kGroups>(block, row, inputs4, weight);
  for (; row < block.rows; ++row) tile<1, kGroups>(block, row, inputs4, weight);
}

}  // namespace

bool has_vnni() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
      __builtin_cpu_supports("avx512vnni") != 0;
  return supported;
}

void int8_block_vnni(const Int8Block& block) {
  if (block.outputs > 2 * kVnniOutputs) {
    all_rows<3>(block);
  } else if (block.outputs > kVnniOutputs) {
    all_rows<2>(block);
  } else {
    all_rows<1>(block);
  }
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
