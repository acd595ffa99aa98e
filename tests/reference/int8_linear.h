// Plain 8-bit linear layer: activations quantised a row at a time, exact integer sums. The law for
// ops/int8_gemm.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nativo::reference {

struct Quantized {
  std::vector<int> codes;     // [N,I], with 128 added
  std::vector<float> scales;  // [N]
};

inline Quantized quantize_rows(const std::vector<float>& x, std::size_t rows, std::size_t inputs,
                               bool nearest) {
  Quantized result;
  for (std::size_t n = 0; n < rows; ++n) {
    float most = 0.0F;
    for (std::size_t i = 0; i < inputs; ++i) most = std::max(most, std::fabs(x[n * inputs + i]));
    const float scale = most == 0.0F ? 1.0F : 127.0F / most;
    result.scales.push_back(scale);
    for (std::size_t i = 0; i < inputs; ++i) {
      const float value = std::fma(x[n * inputs + i], scale, 128.0F);
      result.codes.push_back(static_cast<int>(nearest ? std::nearbyint(value) : value));
    }
  }
  return result;
}

/// y[N,O], in the very operations and their order that the result is defined by.
inline std::vector<float> int8_linear(const Quantized& x, const std::vector<std::int8_t>& weight,
                                      const std::vector<float>& weight_scales,
                                      const std::vector<float>& bias, bool relu,
                                      std::size_t inputs) {
  const std::size_t outputs = weight_scales.size();
  std::vector<float> y;
  for (std::size_t n = 0; n < x.scales.size(); ++n) {
    for (std::size_t o = 0; o < outputs; ++o) {
      int sum = 0;
      for (std::size_t i = 0; i < inputs; ++i) {
        sum += (x.codes[n * inputs + i] - 128) * weight[o * inputs + i];
      }
      float value = static_cast<float>(sum) * (1.0F / x.scales[n]);
      value = value / weight_scales[o];
      if (!bias.empty()) value = value + bias[o];
      y.push_back(relu ? std::max(value, 0.0F) : value);
    }
  }
  return y;
}

}  // namespace nativo::reference
