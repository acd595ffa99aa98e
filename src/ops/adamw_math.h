// AdamW's formulas for one element, and the codes of 8-bit moments: what the CPU's vectors and the
// GPU's threads both compute, in the same order of operations, so that they agree to the bit where
// the CPU has fused multiply-add. Not here: memory, loops, random numbers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/adamw.h"
#include "tensor/host_device.h"

namespace nativo::ops {

/// The factors of one update; made on the host.
struct AdamWFactors {
  explicit AdamWFactors(const AdamW& options)
      : scale(options.gradient_scale),
        beta1(options.beta1),
        beta2(options.beta2),
        rest1(1.0F - options.beta1),
        rest2(1.0F - options.beta2),
        eps(options.eps),
        keep(1.0F - options.lr * options.weight_decay) {
    const auto step = static_cast<double>(options.step);
    const double correction1 = 1.0 - std::pow(static_cast<double>(options.beta1), step);
    const double correction2 = 1.0 - std::pow(static_cast<double>(options.beta2), step);
    rate = static_cast<float>(-options.lr / correction1);
    root = static_cast<float>(1.0 / correction2);
  }

  float scale;
  float beta1;
  float beta2;
  float rest1;
  float rest2;
  float eps;
  float keep;
  float rate;
  float root;
};

/// Returns the new value; m and v become the new moments.
NATIVO_HD inline float adamw_element(const AdamWFactors& by, float gradient, float value, float& m,
                                     float& v) {
  const float g = gradient * by.scale;
  m = fmaf(by.beta1, m, by.rest1 * g);
  v = fmaf(by.beta2, v, by.rest2 * (g * g));
  if (fabsf(m) < 1e-30F) m = 0.0F;
  if (v < 1e-37F) v = 0.0F;
  const float divisor = sqrtf(v * by.root) + by.eps;
  return fmaf(by.rate, m / divisor, value * by.keep);
}

/// bf16 of `value`, up when the 16 bits that are cut off plus `noise`, below 2^16, carry; NaN stays
/// one (a GPU's has all bits set, and would carry into the sign).
NATIVO_HD inline std::uint16_t round_stochastically(float value, std::uint32_t noise) {
  if (value != value) return 0x7FC0;
  return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) + noise) >> 16);
}

/// The 16 bits that round a bf16 value, from the word whose halves round its moments: mixed so that
/// they are uncorrelated with both. Source: the 32-bit hash "lowbias32" of C. Wellons'
/// hash-prospector.
NATIVO_HD constexpr std::uint32_t value_noise(std::uint32_t word) {
  word ^= word >> 16;
  word *= 0x7FEB352DU;
  word ^= word >> 15;
  word *= 0x846CA68BU;
  return (word ^ (word >> 16)) >> 16;
}

/// The codes' largest magnitudes.
inline constexpr float kFirstCodes = 127.0F;
inline constexpr float kSecondCodes = 255.0F;
inline constexpr float kSecondFull = kSecondCodes * kSecondCodes * kSecondCodes * kSecondCodes;

NATIVO_HD inline float decode_first(std::int8_t code, float scale) {
  const auto number = static_cast<float>(code);
  return number * fabsf(number) * (scale * (1.0F / (kFirstCodes * kFirstCodes)));
}

NATIVO_HD inline float decode_second(std::uint8_t code, float scale) {
  const float root = static_cast<float>(code) * (1.0F / kSecondCodes);
  const float square = root * root;
  return square * square * scale;
}

/// Uniform in (0, 1) from 16 bits.
NATIVO_HD inline float uniform16(std::uint32_t bits) {
  return (static_cast<float>(static_cast<std::int32_t>(bits)) + 0.5F) * (1.0F / 65536.0F);
}

/// `inverse` is 127^2 / scale, 0 for a block of zeros.
NATIVO_HD inline std::int8_t encode_first(float m, float inverse, float random) {
  const float y = fabsf(m) * inverse;
  const float k = floorf(sqrtf(y));
  const float up = random * (k + k + 1.0F) < y - k * k ? 1.0F : 0.0F;
  return static_cast<std::int8_t>(copysignf(fminf(k + up, kFirstCodes), m));
}

/// `relative` is v / scale, 0 for a block of zeros.
NATIVO_HD inline std::uint8_t encode_second(float relative, float random) {
  const float y = relative * kSecondFull;
  const float k = floorf(sqrtf(sqrtf(y)));
  const float next = (k + 1.0F) * (k + 1.0F);
  const float below = (k * k) * (k * k);
  const float up = random * (next * next - below) < y - below ? 1.0F : 0.0F;
  const float least = relative > 0.0F ? 1.0F : 0.0F;
  return static_cast<std::uint8_t>(fmaxf(fminf(k + up, kSecondCodes), least));
}

}  // namespace nativo::ops
