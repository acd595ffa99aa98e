// The frequencies of each scaling. See the header.
#include "model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nativo::model {
namespace {

/// theta^(2i/D), rounded where transformers rounds.
float wave(double theta, std::int64_t i, std::int64_t head_dim) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
  return static_cast<float>(
      std::pow(static_cast<double>(static_cast<float>(theta)), static_cast<double>(exponent)));
}

float llama3(const RopeScaling& scaling, float frequency) {
  const auto original = static_cast<double>(scaling.original_max_positions);
  const float length = static_cast<float>(2.0 * std::numbers::pi) / frequency;
  const auto factor = static_cast<float>(scaling.factor);
  if (length < static_cast<float>(original / scaling.high_freq_factor)) return frequency;
  if (length > static_cast<float>(original / scaling.low_freq_factor)) return frequency / factor;
  const float smooth =
      (static_cast<float>(original) / length - static_cast<float>(scaling.low_freq_factor)) /
      static_cast<float>(scaling.high_freq_factor - scaling.low_freq_factor);
  return (1.0F - smooth) * frequency / factor + smooth * frequency;
}

/// The pair of elements that turns `rotations` times over the original positions.
double yarn_dimension(const RopeScaling& scaling, double theta, std::int64_t head_dim,
                      double rotations) {
  const auto original = static_cast<double>(scaling.original_max_positions);
  return static_cast<double>(head_dim) * std::log(original / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(theta));
}

void yarn(const RopeScaling& scaling, double theta, std::int64_t head_dim,
          std::vector<float>& frequencies) {
  double low = yarn_dimension(scaling, theta, head_dim, scaling.beta_fast);
  double high = yarn_dimension(scaling, theta, head_dim, scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float length = wave(theta, static_cast<std::int64_t>(i), head_dim);
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0F,
        1.0F);
    const float kept = 1.0F - ramp;
    frequencies[i] =
        1.0F / (static_cast<float>(scaling.factor) * length) * (1.0F - kept) + 1.0F / length * kept;
  }
}

}  // namespace

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

std::vector<float> rope_frequencies(const RopeScaling& scaling, double theta,
                                    std::int64_t head_dim) {
  std::vector<float> frequencies(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = 1.0F / wave(theta, static_cast<std::int64_t>(i), head_dim);
  }
  switch (scaling.type) {
    case RopeScaling::Type::kNone:
    case RopeScaling::Type::kDynamic:
      break;
    case RopeScaling::Type::kLinear:
      for (float& frequency : frequencies) frequency /= static_cast<float>(scaling.factor);
      break;
    case RopeScaling::Type::kLlama3:
      for (float& frequency : frequencies) frequency = llama3(scaling, frequency);
      break;
    case RopeScaling::Type::kYarn:
      yarn(scaling, theta, head_dim, frequencies);
      break;
  }
  return frequencies;
}

}  // namespace nativo::model
