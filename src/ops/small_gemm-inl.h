// A register-blocked matrix product for attention's blocks, which are too small for oneDNN's
// packing. Not for large matrices. Rule: one thread, sums over k in order.
#if defined(NATIVO_OPS_SMALL_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NATIVO_OPS_SMALL_GEMM_INL_H_
#undef NATIVO_OPS_SMALL_GEMM_INL_H_
#else
#define NATIVO_OPS_SMALL_GEMM_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "ops/gemm.h"
#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// kRows rows of two vectors of the result, in registers: a list rather than an array, so that
/// every compiler keeps them there.
template <int kRows, std::int64_t kRowStride>
struct Accumulators {
  FloatVec low;
  FloatVec high;
  Accumulators<kRows - 1, kRowStride> above;

  HWY_INLINE void clear() {
    low = hn::Zero(FloatTag());
    high = hn::Zero(FloatTag());
    above.clear();
  }
  HWY_INLINE void multiply_add(const float* a, FloatVec b_low, FloatVec b_high) {
    const auto value = hn::Set(FloatTag(), a[(kRows - 1) * kRowStride]);
    low = hn::MulAdd(value, b_low, low);
    high = hn::MulAdd(value, b_high, high);
    above.multiply_add(a, b_low, b_high);
  }
  HWY_INLINE void store(float* c, std::int64_t ldc, std::int64_t columns, bool accumulate) {
    const std::int64_t lanes = float_lanes();
    float* to = c + (kRows - 1) * ldc;
    if (accumulate) low = hn::Add(low, load_up_to(to, columns));
    store_up_to(low, to, columns);
    if (columns > lanes) {
      if (accumulate) high = hn::Add(high, load_up_to(to + lanes, columns - lanes));
      store_up_to(high, to + lanes, columns - lanes);
    }
    above.store(c, ldc, columns, accumulate);
  }
};

template <std::int64_t kRowStride>
struct Accumulators<0, kRowStride> {
  HWY_INLINE void clear() {}
  HWY_INLINE void multiply_add(const float* /*a*/, FloatVec /*low*/, FloatVec /*high*/) {}
  HWY_INLINE void store(float* /*c*/, std::int64_t /*ldc*/, std::int64_t /*columns*/,
                        bool /*accumulate*/) {}
};

template <int kRows, std::int64_t kRowStride>
HWY_INLINE void small_gemm_tile(std::int64_t k, const float* a, std::int64_t a_column,
                                const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                                std::int64_t columns, bool accumulate) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  Accumulators<kRows, kRowStride> sums;
  sums.clear();
  if (columns >= 2 * lanes) {
    for (std::int64_t i = 0; i < k; ++i) {
      sums.multiply_add(a + i * a_column, hn::LoadU(d, b + i * ldb),
                        hn::LoadU(d, b + i * ldb + lanes));
    }
  } else {
    for (std::int64_t i = 0; i < k; ++i) {
      const float* row = b + i * ldb;
      const auto high = columns > lanes ? load_up_to(row + lanes, columns - lanes) : hn::Zero(d);
      sums.multiply_add(a + i * a_column, load_up_to(row, columns), high);
    }
  }
  sums.store(c, ldc, columns, accumulate);
}

/// c[m,n] = or += a b for b[k,n], where a(i,j) = a[i * kRowStride + j * a_column].
template <std::int64_t kRowStride>
HWY_NOINLINE void small_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                             std::int64_t a_column, const float* b, std::int64_t ldb, float* c,
                             std::int64_t ldc, Write write) {
  const bool accumulate = write == Write::kAccumulate;
  const std::int64_t panel = 2 * float_lanes();
  for (std::int64_t column = 0; column < n; column += panel) {
    const std::int64_t columns = n - column < panel ? n - column : panel;
    std::int64_t row = 0;
    for (; row + 12 <= m; row += 12) {
      small_gemm_tile<12, kRowStride>(k, a + row * kRowStride, a_column, b + column, ldb,
                                      c + row * ldc + column, ldc, columns, accumulate);
    }
    for (; row + 4 <= m; row += 4) {
      small_gemm_tile<4, kRowStride>(k, a + row * kRowStride, a_column, b + column, ldb,
                                     c + row * ldc + column, ldc, columns, accumulate);
    }
    for (; row < m; ++row) {
      small_gemm_tile<1, kRowStride>(k, a + row * kRowStride, a_column, b + column, ldb,
                                     c + row * ldc + column, ldc, columns, accumulate);
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
