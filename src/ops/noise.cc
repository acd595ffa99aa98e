// Four numbers from each Philox block. See the header.
#include "ops/noise.h"

#include <algorithm>

#include "base/parallel.h"

namespace nativo::ops {
namespace {
constexpr std::int64_t kPiece = 16384;
constexpr std::uint64_t kPurpose = 0x6E6F6973652121;
}  // namespace

void add_uniform_noise(tensor::View<float> x, const RandomKey& key, float magnitude) {
  const std::int64_t count = x.elements();
  float* values = x.data();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    std::int64_t i = static_cast<std::int64_t>(piece) * kPiece;
    const std::int64_t end = std::min(i + kPiece, count);
    while (i < end) {
      const std::uint64_t number = key.first_element + static_cast<std::uint64_t>(i);
      const auto bits = random_block(key, kPurpose, number / 4);
      for (std::uint64_t lane = number % 4; lane < 4 && i < end; ++lane, ++i) {
        // The odd multiples of 2^-24: as many below zero as above, all exact in f32.
        const auto odd = static_cast<std::int32_t>(2 * (bits[lane] >> 8) + 1) - (1 << 24);
        values[i] += magnitude * (static_cast<float>(odd) * 0x1p-24F);
      }
    }
  });
}

}  // namespace nativo::ops
