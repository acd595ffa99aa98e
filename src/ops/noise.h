// Uniform noise that is a function of a key and an element's number, as ops/dropout.h's masks are.
// Rule: the bits depend on no order, no thread and no micro-batch.
#pragma once

#include "ops/random_key.h"
#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Four numbers from each block of random_block(key, kNoisePurpose, number / 4).
inline constexpr std::uint64_t kNoisePurpose = 0x6E6F6973652121;
/// In (-1, 1): the odd multiples of 2^-24, as many below zero as above, all exact in f32.
[[nodiscard]] constexpr float uniform_noise(std::uint32_t bits) {
  return static_cast<float>(static_cast<std::int32_t>(2 * (bits >> 8) + 1) - (1 << 24)) * 0x1p-24F;
}

/// x[N,C] += magnitude u, u uniform in (-1, 1), 24 bits, one number an element.
void add_uniform_noise(tensor::View<float> x, const RandomKey& key, float magnitude);

/// On a GPU alone.
void add_uniform_noise(tensor::View<tensor::bf16> x, const RandomKey& key, float magnitude);

}  // namespace nativo::ops
