// Softmax, its loss and gradient, a block a row: one pass for the maximum and the sum, one for the
// gradient, which finds the row in the L2 cache. Bound by memory.
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

constexpr int kRowThreads = 512;

/// Of a row: the maximum, and the sums of e^(x - maximum) and of x.
struct RowSums {
  float most;
  float exponentials;
  float plain;
};

/// On every thread of the block. The sum runs along with the maximum and is scaled when that grows.
template <class T>
__device__ RowSums row_sums(const T* row, std::int64_t count, bool wide) {
  float most = -INFINITY;
  float exponentials = 0.0F;
  float plain = 0.0F;
  for (std::int64_t at = threadIdx.x * kChunk; at < count;
       at += std::int64_t{kRowThreads} * kChunk) {
    float x[kChunk];
    load(row + at, count - at, wide, x);
    float highest = most;
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      if (at + i < count) highest = greater(x[i], highest);
    }
    // Equal infinities would give NaN: nothing was summed yet, or all of it stays.
    exponentials = highest == most ? exponentials : exponentials * expf(most - highest);
    most = highest;
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      if (at + i >= count) continue;
      exponentials += expf(x[i] - most);
      plain += x[i];
    }
  }
  RowSums sums{block_max(most), 0.0F, 0.0F};
  const float factor = most == sums.most ? 1.0F : most == -INFINITY ? 0.0F : expf(most - sums.most);
  sums.exponentials = block_sum(exponentials * factor);
  sums.plain = block_sum(plain);
  return sums;
}

template <class T>
__global__ void argmax_kernel(const T* logits, std::int64_t columns, bool wide, std::int32_t* ids) {
  __shared__ float best_value[kRowThreads];
  __shared__ std::int32_t best_id[kRowThreads];
  const T* row = logits + static_cast<std::int64_t>(blockIdx.x) * columns;
  float best = -INFINITY;
  std::int32_t id = -1;
  for (std::int64_t at = threadIdx.x * kChunk; at < columns;
       at += std::int64_t{kRowThreads} * kChunk) {
    float x[kChunk];
    load(row + at, columns - at, wide, x);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      if (at + i >= columns || (id >= 0 && !(x[i] > best))) continue;
      if (x[i] != x[i]) continue;  // a NaN is never the best
      best = x[i];
      id = static_cast<std::int32_t>(at + i);
    }
  }
  best_value[threadIdx.x] = best;
  best_id[threadIdx.x] = id;
  __syncthreads();
  for (int half = kRowThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) {
      const float other = best_value[threadIdx.x + half];
      const std::int32_t its_id = best_id[threadIdx.x + half];
      const std::int32_t own_id = best_id[threadIdx.x];
      const float own = best_value[threadIdx.x];
      if (its_id >= 0 && (own_id < 0 || other > own || (other == own && its_id < own_id))) {
        best_value[threadIdx.x] = other;
        best_id[threadIdx.x] = its_id;
      }
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) ids[blockIdx.x] = best_id[0] < 0 ? 0 : best_id[0];
}

template <class T>
__global__ void forward_kernel(const T* logits, std::int64_t columns, const std::int32_t* targets,
                               bool wide, double* log_prob) {
  const T* row = logits + static_cast<std::int64_t>(blockIdx.x) * columns;
  const RowSums sums = row_sums(row, columns, wide);
  if (threadIdx.x != 0) return;
  log_prob[blockIdx.x] = static_cast<double>(value_of(row[targets[blockIdx.x]])) -
                         static_cast<double>(sums.most) -
                         log(static_cast<double>(sums.exponentials));
}

template <class T>
__global__ void forward_backward_kernel(T* logits, std::int64_t columns,
                                        const std::int32_t* targets, CrossEntropy options,
                                        bool wide, double* log_prob, double* loss) {
  __shared__ float factor;
  T* row = logits + static_cast<std::int64_t>(blockIdx.x) * columns;
  const std::int64_t target = targets[blockIdx.x];
  const RowSums sums = row_sums(row, columns, wide);
  const auto count = static_cast<double>(columns);
  const auto step = static_cast<double>(options.scale);
  if (threadIdx.x == 0) {
    const double log_sum = log(static_cast<double>(sums.exponentials));
    const double most = static_cast<double>(sums.most);
    const double lse = log_sum + most;
    const double log_probability = static_cast<double>(value_of(row[target])) - most - log_sum;
    log_prob[blockIdx.x] = log_probability;
    if (loss != nullptr) {
      double value = -log_probability;
      if (options.label_smoothing > 0.0) {
        value = (1.0 - options.label_smoothing) * value +
                options.label_smoothing * (lse - static_cast<double>(sums.plain) / count);
      }
      loss[blockIdx.x] = value + options.z_loss * lse * lse;
    }
    factor = static_cast<float>(step * (1.0 + 2.0 * options.z_loss * lse)) / sums.exponentials;
  }
  __syncthreads();  // the target's logit is read, the factor written
  const auto offset = static_cast<float>(step * (options.label_smoothing / count));
  const auto at_target = static_cast<float>(step * (1.0 - options.label_smoothing));
  for (std::int64_t at = threadIdx.x * kChunk; at < columns;
       at += std::int64_t{kRowThreads} * kChunk) {
    float x[kChunk];
    load(row + at, columns - at, wide, x);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      x[i] = fmaf(expf(x[i] - sums.most), factor, -offset);
      if (at + i == target) x[i] -= at_target;
    }
    store(x, columns - at, wide, row + at);
  }
}

}  // namespace

template <class T>
void Classifier<T>::forward(View<const T> logits, Ids targets, std::span<double> log_prob,
                            std::span<std::int32_t> ids) {
  launch(forward_kernel<T>, dim3(static_cast<unsigned>(logits.size(0))), dim3(kRowThreads), 0,
         compute_stream(logits.device()), logits.data(), logits.size(1), targets.data(),
         is_wide(logits.size(1), logits.data()), log_prob.data());
  if (ids.empty()) return;
  launch(argmax_kernel<T>, dim3(static_cast<unsigned>(logits.size(0))), dim3(kRowThreads), 0,
         compute_stream(logits.device()), logits.data(), logits.size(1),
         is_wide(logits.size(1), logits.data()), ids.data());
}

template <class T>
void Classifier<T>::forward_backward(View<T> logits, Ids targets, const CrossEntropy& options,
                                     std::span<double> log_prob, std::span<double> loss) {
  launch(forward_backward_kernel<T>, dim3(static_cast<unsigned>(logits.size(0))), dim3(kRowThreads),
         0, compute_stream(logits.device()), logits.data(), logits.size(1), targets.data(), options,
         is_wide(logits.size(1), logits.data()), log_prob.data(), loss.data());
}

template struct Classifier<float>;
template struct Classifier<bf16>;

}  // namespace nativo::ops::cuda
