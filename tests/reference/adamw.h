// Plain AdamW in f64, and the plain form of what ops/adamw.h stores moments in. The law for it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "ops/adamw.h"

namespace nativo::reference {

/// One element: changes value, m and v.
inline void adamw(const ops::AdamW& options, double& value, double gradient, double& m, double& v) {
  const auto step = static_cast<double>(options.step);
  const double g = double{options.gradient_scale} * gradient;
  const double beta1 = options.beta1;
  const double beta2 = options.beta2;
  m = beta1 * m + (1.0 - beta1) * g;
  v = beta2 * v + (1.0 - beta2) * g * g;
  const double update = m / (1.0 - std::pow(beta1, step)) /
                        (std::sqrt(v / (1.0 - std::pow(beta2, step))) + double{options.eps});
  value -= double{options.lr} * (update + double{options.weight_decay} * value);
}

/// The 32 random bits of element `i`.
inline std::uint32_t rounding_bits(const ops::RoundingNoise& noise, std::int64_t step,
                                   std::size_t i) {
  const auto counter = static_cast<std::uint32_t>(i / 64 * 16 + i % 16);
  return philox({counter, 0x6164616D, static_cast<std::uint32_t>(step), noise.tensor},
                {static_cast<std::uint32_t>(noise.seed),
                 static_cast<std::uint32_t>(noise.seed >> 32)})[i % 64 / 16];
}

/// What an 8-bit code of a block with this scale stands for.
inline double int8_first(int code, double scale) {
  const double root = code / 127.0;
  return scale * root * std::abs(root);
}

inline double int8_second(int code, double scale) {
  const double root = code / 255.0;
  return scale * root * root * root * root;
}

}  // namespace nativo::reference
