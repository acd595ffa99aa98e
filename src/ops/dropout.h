// Dropout whose mask is a function of a key and an element's number: nothing is stored, and the
// backward pass makes the same mask again. Rule: the bits depend on no order, no thread and no
// micro-batch.
#pragma once

#include <cmath>

#include "ops/random_key.h"
#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Eight masks of 16 bits from each block of random_block(key, kDropoutPurpose, number / 8); an
/// element is kept when its 16 bits are not below the threshold.
inline constexpr std::uint64_t kDropoutPurpose = 0x64726F706F757421;
[[nodiscard]] inline std::uint32_t dropout_threshold(double p) {
  return static_cast<std::uint32_t>(std::lround(p * 65536.0));
}
[[nodiscard]] constexpr bool dropout_keeps(const std::array<std::uint32_t, 4>& block, unsigned lane,
                                           std::uint32_t threshold) {
  return ((block[lane / 2] >> (lane % 2 * 16)) & 0xFFFFU) >= threshold;
}

/// out[N,I] = x[N,I] / (1 - p) where the mask keeps, else 0 (overwrites; out may be x). An element
/// is dropped with probability round(65536 p) / 65536; 0 <= p < 1.
void dropout(tensor::View<const float> x, const RandomKey& key, double p, tensor::View<float> out);

/// sum[N,I] += x[N,I] / (1 - p) where the mask of the same key keeps.
void dropout_add(tensor::View<const float> x, const RandomKey& key, double p,
                 tensor::View<float> sum);

/// On a GPU alone.
void dropout(tensor::View<const tensor::bf16> x, const RandomKey& key, double p,
             tensor::View<tensor::bf16> out);
void dropout_add(tensor::View<const tensor::bf16> x, const RandomKey& key, double p,
                 tensor::View<tensor::bf16> sum);

}  // namespace nativo::ops
