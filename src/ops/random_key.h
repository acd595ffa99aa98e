// Names random numbers by their place in a training step, so that nothing of them is stored: the
// same place gives the same bits, whoever computes it, in whatever order. Not here: what is done
// with them (ops/dropout.h, ops/noise.h).
#pragma once

#include <array>
#include <cstdint>

#include "base/rng.h"

namespace nativo::ops {

/// The random numbers of one tensor at one step. Element i of a call has the number first_element +
/// i, so that a batch computed in parts meets the numbers of the whole.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t tensor = 0;
  std::uint64_t first_element = 0;
};

/// The key of row `row` of the step's tensor [rows,T,columns] from position `position` on, T <=
/// 2^20: neither the cut of the step into batches nor their padding changes it.
[[nodiscard]] constexpr RandomKey row_key(std::uint64_t seed, std::uint32_t step,
                                          std::uint32_t tensor, std::int64_t row,
                                          std::int64_t position, std::int64_t columns) {
  constexpr std::int64_t kPositions = std::int64_t{1} << 20;
  return {seed, step, tensor, static_cast<std::uint64_t>((row * kPositions + position) * columns)};
}

/// Bits of block `block` of the key's numbers; `purpose` sets them apart from all else that is
/// drawn from the same seed.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> random_block(const RandomKey& key,
                                                                  std::uint64_t purpose,
                                                                  std::uint64_t block) {
  const std::uint64_t seed = key.seed ^ purpose;
  return philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                 key.step, key.tensor},
                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

}  // namespace nativo::ops
