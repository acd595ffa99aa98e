// Linear layers whose products have factors in 8-bit floating point, on a GPU of compute capability
// 8.9 or more alone. Each factor is scaled by its own largest magnitude when it is used
// (just-in-time scaling, one scale a tensor): E4M3 for inputs and weights, E5M2 for gradients
// (Micikevicius et al., arXiv:2209.05433); sums are f32, results bf16.
// Rule: nothing is kept in FP8; who stores, stores bf16.
#pragma once

#include <bit>
#include <cstdint>

#include "ops/gemm.h"
#include "tensor/bf16.h"
#include "tensor/host_device.h"
#include "tensor/view.h"

namespace nativo::ops {

/// E4M3 reaches 448 and has no infinity; E5M2 reaches 57344.
enum class Fp8Format : std::uint8_t { kE4M3, kE5M2 };

[[nodiscard]] NATIVO_HD constexpr int fp8_mantissa_bits(Fp8Format format) {
  return format == Fp8Format::kE4M3 ? 3 : 2;
}
/// Of the least normal number.
[[nodiscard]] NATIVO_HD constexpr int fp8_least_exponent(Fp8Format format) {
  return format == Fp8Format::kE4M3 ? -6 : -14;
}
[[nodiscard]] NATIVO_HD constexpr float fp8_largest(Fp8Format format) {
  return format == Fp8Format::kE4M3 ? 448.0F : 57344.0F;
}

/// To nearest, ties to even; what is larger than the largest becomes that; NaN stays one.
[[nodiscard]] constexpr std::uint8_t to_fp8(float x, Fp8Format format) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits >> 31 << 7;
  if (x != x) return static_cast<std::uint8_t>(sign | 0x7FU);
  const float size = std::bit_cast<float>(bits & 0x7FFFFFFFU);
  const float bounded = size < fp8_largest(format) ? size : fp8_largest(format);
  const int least = fp8_least_exponent(format);
  const int own = static_cast<int>(std::bit_cast<std::uint32_t>(bounded) >> 23) - 127;
  const int exponent = own > least ? own : least;
  const int mantissa = fp8_mantissa_bits(format);
  // In units of the last place; 2^23 more, and the sum is rounded to whole ones.
  const auto unit = static_cast<std::uint32_t>(127 + mantissa - exponent) << 23;
  const float rounded = bounded * std::bit_cast<float>(unit) + 8388608.0F;
  const std::uint32_t count = std::bit_cast<std::uint32_t>(rounded) & 0x7FFFFFU;
  return static_cast<std::uint8_t>(
      sign | ((static_cast<std::uint32_t>(exponent - least) << mantissa) + count));
}

[[nodiscard]] constexpr float from_fp8(std::uint8_t code, Fp8Format format) {
  const int mantissa = fp8_mantissa_bits(format);
  const int least = fp8_least_exponent(format);
  const int size = code & 0x7F;
  const float sign = code < 0x80 ? 1.0F : -1.0F;
  const int field = size >> mantissa;
  const int fraction = size & ((1 << mantissa) - 1);
  const bool is_top = field == (format == Fp8Format::kE4M3 ? 15 : 31);
  if (is_top && (format == Fp8Format::kE5M2 || fraction == 7)) {
    const bool is_nan = format == Fp8Format::kE4M3 || fraction != 0;
    return sign * std::bit_cast<float>(is_nan ? 0x7FC00000U : 0x7F800000U);
  }
  const int exponent = field == 0 ? least : least + field - 1;
  const auto units = static_cast<float>(field == 0 ? fraction : fraction + (1 << mantissa));
  return sign * units *
         std::bit_cast<float>(static_cast<std::uint32_t>(127 + exponent - mantissa) << 23);
}

/// What a tensor of this largest magnitude is divided by, so that it becomes the format's largest.
[[nodiscard]] NATIVO_HD constexpr float fp8_scale(float largest, Fp8Format format) {
  constexpr float kLeast = 0x1p-100F;  // of zeros, whose scale must be a number
  return (largest < kLeast ? kLeast : largest) / fp8_largest(format);
}

/// Largest magnitudes of parts of a tensor, found before it is scaled.
inline constexpr std::int64_t kFp8Parts = 1024;

/// Memory for two factors; without meaning between calls. Null views: no FP8.
struct Fp8Scratch {
  tensor::View<std::uint8_t> left;   ///< [>= fp8_scratch(..).left]
  tensor::View<std::uint8_t> right;  ///< [>= fp8_scratch(..).right]
  tensor::View<float> numbers;       ///< [kFp8Numbers]
};
/// Both factors' parts and scales.
inline constexpr std::int64_t kFp8Numbers = 2 * (kFp8Parts + 1);

struct Fp8ScratchSize {
  std::int64_t left = 0;
  std::int64_t right = 0;
};
/// For a layer weight[outputs, inputs] of up to `rows` rows.
[[nodiscard]] Fp8ScratchSize fp8_scratch(std::int64_t rows, std::int64_t outputs,
                                         std::int64_t inputs);

/// Whether a layer's products can be computed so: all sizes are multiples of 16.
[[nodiscard]] constexpr bool fp8_fits(std::int64_t rows, std::int64_t outputs,
                                      std::int64_t inputs) {
  return rows % 16 == 0 && outputs % 16 == 0 && inputs % 16 == 0;
}

/// As the functions of ops/gemm.h, of sizes that fit.
void fp8_linear_forward(tensor::View<const tensor::bf16> x, tensor::View<const tensor::bf16> weight,
                        const Fp8Scratch& scratch, tensor::View<tensor::bf16> y);
/// dx = (overwrites).
void fp8_linear_backward_input(tensor::View<const tensor::bf16> dy,
                               tensor::View<const tensor::bf16> weight, const Fp8Scratch& scratch,
                               tensor::View<tensor::bf16> dx);
void fp8_linear_backward_weight(tensor::View<const tensor::bf16> dy,
                                tensor::View<const tensor::bf16> x, const Fp8Scratch& scratch,
                                tensor::View<tensor::bf16> dweight);

}  // namespace nativo::ops
