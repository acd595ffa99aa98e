// Checks shapes, fills the table, calls the device's kernel.
#include "ops/rope.h"

#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/rope_cpu.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

template <class T>
void check(tensor::View<T> x, std::int64_t heads, std::span<const std::int32_t> positions,
           tensor::View<const float> cosine, tensor::View<const float> sine) {
  NATIVO_CHECK(x.shape().rank() == 2 && static_cast<std::int64_t>(positions.size()) == x.size(0),
               "rope: positions are not [N]");
  NATIVO_CHECK(cosine.shape() == sine.shape() && x.size(1) >= heads * 2 * cosine.size(1),
               "rope: heads do not fit in a row");
}

}  // namespace

void rope_table(std::span<const float> frequencies, double magnitude, tensor::View<float> cosine,
                tensor::View<float> sine) {
  NATIVO_CHECK(cosine.shape().rank() == 2 && cosine.shape() == sine.shape(), "rope: tables differ");
  NATIVO_CHECK(!on_gpu(cosine, sine), "rope: the table is made on the CPU");
  NATIVO_CHECK(static_cast<std::int64_t>(frequencies.size()) == cosine.size(1),
               "rope: frequencies are not [D/2]");
  const std::int64_t half = cosine.size(1);
  parallel_for(static_cast<std::size_t>(half), [&](std::size_t item) {
    const auto i = static_cast<std::int64_t>(item);
    const float frequency = frequencies[item];
    for (std::int64_t position = 0; position < cosine.size(0); ++position) {
      const double angle = static_cast<float>(position) * frequency;
      cosine.data()[position * half + i] = static_cast<float>(magnitude * std::cos(angle));
      sine.data()[position * half + i] = static_cast<float>(magnitude * std::sin(angle));
    }
  });
}

void rope(tensor::View<float> x, std::int64_t heads, std::span<const std::int32_t> positions,
          tensor::View<const float> cosine, tensor::View<const float> sine, Rotation rotation) {
  check(x, heads, positions, cosine, sine);
  if (on_gpu(x, cosine, sine)) {
    return cuda::Activations<float>::rope(x, heads, positions, cosine, sine, rotation);
  }
  cpu::rope({x.data(), x.size(1), heads, cosine.size(1), positions.data(), cosine.data(),
             sine.data(), rotation == Rotation::kForward ? 1.0F : -1.0F},
            x.size(0));
}

void rope(tensor::View<tensor::bf16> x, std::int64_t heads, std::span<const std::int32_t> positions,
          tensor::View<const float> cosine, tensor::View<const float> sine, Rotation rotation) {
  check(x, heads, positions, cosine, sine);
  require_gpu(x, cosine, sine);
  cuda::Activations<tensor::bf16>::rope(x, heads, positions, cosine, sine, rotation);
}

}  // namespace nativo::ops
