// Dropout and noise by the element's number: the same bits as on the processor.
#include <cmath>

#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"
#include "ops/dropout.h"
#include "ops/noise.h"

namespace nativo::ops::cuda {
namespace {

enum class Mask { kWrite, kAdd };

/// A thread the 8 numbers of one Philox block, of which elements outside the tensor are left out.
template <class T, Mask kMask>
__global__ void dropout_kernel(const T* x, std::int64_t count, RandomKey key, std::uint32_t dropped,
                               float scale, bool wide, T* out) {
  const std::uint64_t block =
      key.first_element / kChunk + static_cast<std::uint64_t>(thread_index());
  const std::int64_t at = static_cast<std::int64_t>(block * kChunk - key.first_element);
  if (at >= count) return;
  const auto bits = random_block(key, kDropoutPurpose, block);
  float values[kChunk];
  float sums[kChunk];
  const bool whole = wide && at >= 0 && count - at >= kChunk;
  if (whole) {
    load(x + at, kChunk, true, values);
    if (kMask == Mask::kAdd) load(out + at, kChunk, true, sums);
  } else {
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      const bool inside = at + i >= 0 && at + i < count;
      values[i] = inside ? value_of(x[at + i]) : 0.0F;
      sums[i] = inside && kMask == Mask::kAdd ? value_of(out[at + i]) : 0.0F;
    }
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    const bool kept = dropout_keeps(bits, static_cast<unsigned>(i), dropped);
    if (kMask == Mask::kAdd) {
      values[i] = kept ? sums[i] + values[i] * scale : sums[i];
    } else {
      values[i] = kept ? values[i] * scale : 0.0F;
    }
  }
  if (whole) {
    store(values, kChunk, true, out + at);
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (at + i >= 0 && at + i < count) assign(out[at + i], values[i]);
  }
}

template <class T>
__global__ void noise_kernel(T* x, std::int64_t count, RandomKey key, float magnitude) {
  const std::uint64_t block = key.first_element / 4 + static_cast<std::uint64_t>(thread_index());
  const std::int64_t at = static_cast<std::int64_t>(block * 4 - key.first_element);
  if (at >= count) return;
  const auto bits = random_block(key, kNoisePurpose, block);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (at + i < 0 || at + i >= count) continue;
    assign(x[at + i],
           value_of(x[at + i]) + magnitude * uniform_noise(bits[static_cast<unsigned>(i)]));
  }
}

template <class T, Mask kMask>
void run_dropout(View<const T> x, const RandomKey& key, double p, View<T> out) {
  const std::int64_t count = x.elements();
  const bool wide = key.first_element % kChunk == 0 && is_wide(0, x.data(), out.data());
  launch(dropout_kernel<T, kMask>, grid_for(count / kChunk + 2), dim3(kThreads), 0,
         compute_stream(out.device()), x.data(), count, key, dropout_threshold(p),
         static_cast<float>(1.0 / (1.0 - p)), wide, out.data());
}

}  // namespace

template <class T>
void Random<T>::dropout(View<const T> x, const RandomKey& key, double p, View<T> out) {
  run_dropout<T, Mask::kWrite>(x, key, p, out);
}

template <class T>
void Random<T>::dropout_add(View<const T> x, const RandomKey& key, double p, View<T> sum) {
  run_dropout<T, Mask::kAdd>(x, key, p, sum);
}

template <class T>
void Random<T>::add_uniform_noise(View<T> x, const RandomKey& key, float magnitude) {
  launch(noise_kernel<T>, grid_for(x.elements() / 4 + 2), dim3(kThreads), 0,
         compute_stream(x.device()), x.data(), x.elements(), key, magnitude);
}

template struct Random<float>;
template struct Random<bf16>;

}  // namespace nativo::ops::cuda
