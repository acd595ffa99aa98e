// to[C] += the sum of rows: of a bias's gradients, of partial sums of a norm's.
#pragma once

#include "ops/cuda/kernels.cuh"

namespace nativo::ops::cuda {

inline constexpr int kSumColumns = 32;
inline constexpr int kSumRows = 16;

/// Each of 16 threads a column takes every 16th row, then they are summed in their order.
template <class From, class T>
__global__ void add_rows_kernel(const From* from, std::int64_t rows, std::int64_t columns, T* to) {
  __shared__ float sums[kSumRows][kSumColumns];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kSumColumns + threadIdx.x;
  float sum = 0.0F;
  if (column < columns) {
    for (std::int64_t row = threadIdx.y; row < rows; row += kSumRows) {
      sum += value_of(from[row * columns + column]);
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  float total = 0.0F;
  for (int i = 0; i < kSumRows; ++i) total += sums[i][threadIdx.x];
  assign(to[column], value_of(to[column]) + total);
}

/// from[rows, columns], which may be of another type.
template <class From, class T>
void add_rows(const tensor::Device& device, const From* from, std::int64_t rows,
              std::int64_t columns, T* to) {
  launch(add_rows_kernel<From, T>, grid_for(columns, kSumColumns), dim3(kSumColumns, kSumRows), 0,
         compute_stream(device), from, rows, columns, to);
}

}  // namespace nativo::ops::cuda
