// Plain quantisation of one block in f64: every level is tried. The law for ops/quantize.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace nativo::reference {

/// The values that a block of weights with this scale may take, in ascending order.
inline std::vector<double> int8_levels(double scale) {
  std::vector<double> levels;
  for (int code = -127; code <= 127; ++code) levels.push_back(code * scale / 127.0);
  return levels;
}

inline std::vector<double> nf4_levels(double scale) {
  // bitsandbytes 0.48, create_normal_map: f32 numbers.
  std::vector<double> levels = {-1.0,
                                -0.6961928009986877,
                                -0.5250730514526367,
                                -0.39491748809814453,
                                -0.28444138169288635,
                                -0.18477343022823334,
                                -0.09105003625154495,
                                0.0,
                                0.07958029955625534,
                                0.16093020141124725,
                                0.24611230194568634,
                                0.33791524171829224,
                                0.44070982933044434,
                                0.5626170039176941,
                                0.7229568362236023,
                                1.0};
  for (double& level : levels) level *= scale;
  return levels;
}

inline double absmax(std::span<const double> block) {
  double greatest = 0.0;
  for (const double weight : block) greatest = std::max(greatest, std::abs(weight));
  return greatest;
}

/// The level nearest to `weight`.
inline double nearest(const std::vector<double>& levels, double weight) {
  double best = levels.front();
  for (const double level : levels) {
    if (std::abs(level - weight) < std::abs(best - weight)) best = level;
  }
  return best;
}

}  // namespace nativo::reference
