// RMSNorm, alone or with the residual sum before it. A team of threads a row; the row stays in
// registers between the sum and the scaling. Bound by memory.
#include "base/error.h"
#include "ops/cuda/add_rows.cuh"
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

/// Where a row (a token's head, when a token has several) begins.
struct Row {
  std::int64_t x, y, rstd;
};
__device__ __forceinline__ Row row_at(const NormRows& rows, std::int64_t index) {
  const std::int64_t token = index / rows.count;
  const std::int64_t head = rows.first + index % rows.count;
  return {token * rows.x_stride + head * rows.dim, token * rows.y_stride + head * rows.dim,
          token * rows.rstd_stride + head};
}

/// The sum over a team: a warp, or the whole block.
__device__ __forceinline__ float team_sum(float value) {
  return blockDim.x == 32 ? warp_sum(value) : block_sum(value);
}

/// Threads (x of a row, y rows) and chunks of 8 that a thread keeps.
struct Team {
  int threads = 32;
  int rows = 1;
  int keep = 1;
};

/// `most` threads a row, more only where a thread would keep more than 4 chunks.
Team team_for(std::int64_t dim, int most) {
  const std::int64_t chunks = (dim + kChunk - 1) / kChunk;
  Team team;
  while (team.threads < most && team.threads < chunks) team.threads *= 2;
  while (team.keep < 4 && team.threads * team.keep < chunks) team.keep *= 2;
  while (team.threads * team.keep < chunks) team.threads *= 2;
  team.rows = team.threads == 32 ? 8 : 1;
  NATIVO_CHECK(team.threads <= 1024, "rmsnorm: rows of at most kLongestNorm");
  return team;
}

template <class T, int kKeep, bool kAdds>
__global__ void rmsnorm_forward_kernel(NormRows rows, std::int64_t total, const T* x,
                                       const T* added, T* sum, const T* weight, float eps,
                                       bool wide, T* y, float* rstd) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (index >= total) return;  // a whole team
  const Row row = row_at(rows, index);
  float values[kKeep][kChunk];
  float squares = 0.0F;
#pragma unroll
  for (int k = 0; k < kKeep; ++k) {
    const std::int64_t at = (static_cast<std::int64_t>(k) * blockDim.x + threadIdx.x) * kChunk;
    const std::int64_t left = rows.dim - at;
    if (left <= 0) continue;
    load(x + row.x + at, left, wide, values[k]);
    if (kAdds) {
      float more[kChunk];
      load(added + row.x + at, left, wide, more);
#pragma unroll
      for (int i = 0; i < kChunk; ++i) values[k][i] = rounded<T>(values[k][i] + more[i]);
      store(values[k], left, wide, sum + row.x + at);
    }
#pragma unroll
    for (int i = 0; i < kChunk; ++i) squares = fmaf(values[k][i], values[k][i], squares);
  }
  squares = team_sum(squares);
  const float scale = 1.0F / sqrtf(squares / static_cast<float>(rows.dim) + eps);
  if (threadIdx.x == 0) rstd[row.rstd] = scale;
#pragma unroll
  for (int k = 0; k < kKeep; ++k) {
    const std::int64_t at = (static_cast<std::int64_t>(k) * blockDim.x + threadIdx.x) * kChunk;
    const std::int64_t left = rows.dim - at;
    if (left <= 0) continue;
    float w[kChunk];
    load(weight + at, left, wide, w);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) w[i] = values[k][i] * scale * w[i];
    store(w, left, wide, y + row.y + at);
  }
}

template <class T>
__global__ void rmsnorm_apply_kernel(NormRows rows, std::int64_t total, const T* x, const T* weight,
                                     const float* rstd, bool wide, T* y) {
  const std::int64_t chunks = (rows.dim + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= total * chunks) return;
  const Row row = row_at(rows, item / chunks);
  const std::int64_t at = item % chunks * kChunk;
  const float scale = rstd[row.rstd];
  float values[kChunk];
  float w[kChunk];
  load(x + row.x + at, rows.dim - at, wide, values);
  load(weight + at, rows.dim - at, wide, w);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) w[i] = values[i] * scale * w[i];
  store(w, rows.dim - at, wide, y + row.y + at);
}

/// A team kNormGroup rows, one after the other; its share of dweight stays in registers.
/// dx += rstd (dy w - x rstd^2 mean(dy w x)).
template <class T, int kKeep>
__global__ void rmsnorm_backward_kernel(NormRows rows, std::int64_t total, const T* dy, const T* x,
                                        const T* weight, const float* rstd, bool overwrite,
                                        bool wide, T* dx, float* partial) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const std::int64_t begin = group * kNormGroup;
  if (begin >= total) return;
  const std::int64_t end = begin + kNormGroup < total ? begin + kNormGroup : total;
  float dweight[kKeep][kChunk] = {};
  for (std::int64_t index = begin; index < end; ++index) {
    const Row row = row_at(rows, index);
    const float scale = rstd[row.rstd];
    float values[kKeep][kChunk];
    float gradients[kKeep][kChunk];
    float sum = 0.0F;
#pragma unroll
    for (int k = 0; k < kKeep; ++k) {
      const std::int64_t at = (static_cast<std::int64_t>(k) * blockDim.x + threadIdx.x) * kChunk;
      const std::int64_t left = rows.dim - at;
      if (left <= 0) continue;
      float w[kChunk];
      load(x + row.x + at, left, wide, values[k]);
      load(dy + row.y + at, left, wide, gradients[k]);
      load(weight + at, left, wide, w);
#pragma unroll
      for (int i = 0; i < kChunk; ++i) {
        const float scaled = gradients[k][i] * scale;
        dweight[k][i] = fmaf(scaled, values[k][i], dweight[k][i]);
        gradients[k][i] = scaled * w[i];
        sum = fmaf(gradients[k][i], values[k][i], sum);
      }
    }
    const float along = -scale * scale * team_sum(sum) / static_cast<float>(rows.dim);
#pragma unroll
    for (int k = 0; k < kKeep; ++k) {
      const std::int64_t at = (static_cast<std::int64_t>(k) * blockDim.x + threadIdx.x) * kChunk;
      const std::int64_t left = rows.dim - at;
      if (left <= 0) continue;
      float out[kChunk] = {};
      if (!overwrite) load(dx + row.y + at, left, wide, out);
#pragma unroll
      for (int i = 0; i < kChunk; ++i) {
        out[i] = fmaf(along, values[k][i], out[i] + gradients[k][i]);
      }
      store(out, left, wide, dx + row.y + at);
    }
  }
  if (partial == nullptr) return;
#pragma unroll
  for (int k = 0; k < kKeep; ++k) {
    const std::int64_t at = (static_cast<std::int64_t>(k) * blockDim.x + threadIdx.x) * kChunk;
    if (at < rows.dim) store(dweight[k], rows.dim - at, wide, partial + group * rows.dim + at);
  }
}

template <class... Pointers>
bool rows_are_wide(const NormRows& rows, const Pointers*... memory) {
  return is_wide(rows.dim, memory...) && rows.x_stride % kChunk == 0 && rows.y_stride % kChunk == 0;
}

template <class T, int kKeep>
void forward_with(const tensor::Device& device, const Team& team, const NormRows& rows, const T* x,
                  const T* added, T* sum, const T* weight, float eps, T* y, float* rstd) {
  const std::int64_t total = rows.rows * rows.count;
  const dim3 block(static_cast<unsigned>(team.threads), static_cast<unsigned>(team.rows));
  const bool wide = rows_are_wide(rows, x, added, sum, weight, y);
  launch(added == nullptr ? rmsnorm_forward_kernel<T, kKeep, false>
                          : rmsnorm_forward_kernel<T, kKeep, true>,
         grid_for(total, team.rows), block, 0, compute_stream(device), rows, total, x, added, sum,
         weight, eps, wide, y, rstd);
}

template <class T, int kKeep>
void backward_with(const tensor::Device& device, const Team& team, const NormRows& rows,
                   const T* dy, const T* x, const T* weight, const float* rstd, bool overwrite,
                   T* dx, float* partial) {
  const std::int64_t total = rows.rows * rows.count;
  const dim3 block(static_cast<unsigned>(team.threads), static_cast<unsigned>(team.rows));
  const bool wide = rows_are_wide(rows, dy, x, weight, dx, partial);
  const std::int64_t groups = (total + kNormGroup - 1) / kNormGroup;
  launch(rmsnorm_backward_kernel<T, kKeep>, grid_for(groups, team.rows), block, 0,
         compute_stream(device), rows, total, dy, x, weight, rstd, overwrite, wide, dx, partial);
}

}  // namespace

template <class T>
void Rmsnorm<T>::forward(const tensor::Device& device, const NormRows& rows, const T* x,
                         const T* added, T* sum, const T* weight, float eps, T* y, float* rstd) {
  // 4096 elements: 128 threads of 4 chunks, 16 blocks a processor.
  const Team team = team_for(rows.dim, 128);
  const auto run = team.keep == 1   ? forward_with<T, 1>
                   : team.keep == 2 ? forward_with<T, 2>
                                    : forward_with<T, 4>;
  run(device, team, rows, x, added, sum, weight, eps, y, rstd);
}

template <class T>
void Rmsnorm<T>::apply(const tensor::Device& device, const NormRows& rows, const T* x,
                       const T* weight, const float* rstd, T* y) {
  const std::int64_t total = rows.rows * rows.count;
  launch(rmsnorm_apply_kernel<T>, grid_for(total * ((rows.dim + kChunk - 1) / kChunk)),
         dim3(kThreads), 0, compute_stream(device), rows, total, x, weight, rstd,
         rows_are_wide(rows, x, weight, y), y);
}

template <class T>
void Rmsnorm<T>::backward(const tensor::Device& device, const NormRows& rows, const T* dy,
                          const T* x, const T* weight, const float* rstd, bool overwrite, T* dx,
                          T* dweight, float* partial) {
  const Team team = team_for(rows.dim, 512);
  const auto run = team.keep == 1   ? backward_with<T, 1>
                   : team.keep == 2 ? backward_with<T, 2>
                                    : backward_with<T, 4>;
  float* sums = dweight == nullptr ? nullptr : partial;
  run(device, team, rows, dy, x, weight, rstd, overwrite, dx, sums);
  if (dweight == nullptr) return;
  const std::int64_t groups = (rows.rows * rows.count + kNormGroup - 1) / kNormGroup;
  add_rows(device, static_cast<const float*>(partial), groups, rows.dim, dweight);
}

template struct Rmsnorm<float>;
template struct Rmsnorm<bf16>;

}  // namespace nativo::ops::cuda
