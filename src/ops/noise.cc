// Four numbers from each Philox block. See the header.
#include "ops/noise.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {
constexpr std::int64_t kPiece = 16384;
}  // namespace

void add_uniform_noise(tensor::View<float> x, const RandomKey& key, float magnitude) {
  if (on_gpu(x)) return cuda::Random<float>::add_uniform_noise(x, key, magnitude);
  const std::int64_t count = x.elements();
  float* values = x.data();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    std::int64_t i = static_cast<std::int64_t>(piece) * kPiece;
    const std::int64_t end = std::min(i + kPiece, count);
    while (i < end) {
      const std::uint64_t number = key.first_element + static_cast<std::uint64_t>(i);
      const auto bits = random_block(key, kNoisePurpose, number / 4);
      for (std::uint64_t lane = number % 4; lane < 4 && i < end; ++lane, ++i) {
        values[i] += magnitude * uniform_noise(bits[lane]);
      }
    }
  });
}

void add_uniform_noise(tensor::View<tensor::bf16> x, const RandomKey& key, float magnitude) {
  require_gpu(x);
  cuda::Random<tensor::bf16>::add_uniform_noise(x, key, magnitude);
}

}  // namespace nativo::ops
