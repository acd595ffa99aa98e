// Tiles of bf16 in shared memory and their fragments for tensor cores. Rows are padded by 16 bytes,
// so that the eight rows that a fragment is read from lie in different banks.
#pragma once

#include <cstdint>

#include "ops/cuda/kernels.cuh"

namespace nativo::ops::cuda {

template <int kDim>
inline constexpr int kTileStride = kDim + 8;

/// Bytes of a tile of `rows`.
template <int kDim>
[[nodiscard]] constexpr std::size_t tile_bytes(int rows) {
  return static_cast<std::size_t>(rows) * kTileStride<kDim> * sizeof(bf16);
}

/// Starts copying rows [first, first + kRows) of from[.., stride], zeros from `end` on.
template <int kDim, int kRows, int kBlockThreads>
__device__ __forceinline__ void start_tile(const bf16* from, std::int64_t stride,
                                           std::int64_t first, std::int64_t end, bf16* tile) {
  constexpr int kRowChunks = kDim / kChunk;
  static_assert(kRows * kRowChunks % kBlockThreads == 0);
#pragma unroll
  for (int i = 0; i < kRows * kRowChunks / kBlockThreads; ++i) {
    const int item = i * kBlockThreads + static_cast<int>(threadIdx.x);
    const int row = item / kRowChunks;
    const int column = item % kRowChunks * kChunk;
    const bool wanted = first + row < end;
    copy16_async(tile + row * kTileStride<kDim> + column,
                 from +
                     (wanted        ? first + row
                      : first < end ? first
                                    : end - 1) *
                         stride +
                     column,
                 wanted);
  }
}

/// a[16,16] from rows [row, +16) and columns [column, +16), as the left factor.
template <int kDim>
__device__ __forceinline__ void load_left(const bf16* tile, int row, int column,
                                          std::uint32_t (&a)[4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int matrix = lane / 8;
  load_matrices(
      a, tile + (row + matrix % 2 * 8 + lane % 8) * kTileStride<kDim> + column + matrix / 2 * 8);
}

/// b[k,n] = tile[n][k] for n in [row, +16) and k in [column, +16): b[0], b[1] are the fragment of
/// the first 8 n, b[2], b[3] that of the next.
template <int kDim>
__device__ __forceinline__ void load_right(const bf16* tile, int row, int column,
                                           std::uint32_t (&b)[4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int matrix = lane / 8;
  load_matrices(
      b, tile + (row + matrix / 2 * 8 + lane % 8) * kTileStride<kDim> + column + matrix % 2 * 8);
}

/// b[k,n] = tile[k][n] for k in [row, +16) and n in [column, +16), as above.
template <int kDim>
__device__ __forceinline__ void load_right_transposed(const bf16* tile, int row, int column,
                                                      std::uint32_t (&b)[4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int matrix = lane / 8;
  load_matrices_transposed(
      b, tile + (row + matrix % 2 * 8 + lane % 8) * kTileStride<kDim> + column + matrix / 2 * 8);
}

/// sums[16, 8 kCount] += left[16 rows from `row`] right[8 kCount rows]^T over kDim columns.
template <int kDim, int kCount>
__device__ __forceinline__ void multiply_rows(const bf16* left, int row, const bf16* right,
                                              float (&sums)[kCount][4]) {
#pragma unroll
  for (int k = 0; k < kDim; k += 16) {
    std::uint32_t a[4];
    load_left<kDim>(left, row, k, a);
#pragma unroll
    for (int n = 0; n < kCount; n += 2) {
      std::uint32_t b[4];
      load_right<kDim>(right, 8 * n, k, b);
      mma_bf16(sums[n], a, b[0], b[1]);
      mma_bf16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

/// sums[16, kDim] += weights[16, 8 kCount] right[8 kCount rows, kDim]; the weights, an earlier
/// product's sums, are rounded to bf16.
template <int kDim, int kCount>
__device__ __forceinline__ void multiply_weights(const float (&weights)[kCount][4],
                                                 const bf16* right, float (&sums)[kDim / 8][4]) {
#pragma unroll
  for (int k = 0; k < kCount; k += 2) {
    const std::uint32_t a[4] = {pack_bf16(weights[k][0], weights[k][1]),
                                pack_bf16(weights[k][2], weights[k][3]),
                                pack_bf16(weights[k + 1][0], weights[k + 1][1]),
                                pack_bf16(weights[k + 1][2], weights[k + 1][3])};
#pragma unroll
    for (int n = 0; n < kDim / 8; n += 2) {
      std::uint32_t b[4];
      load_right_transposed<kDim>(right, 8 * k, 8 * n, b);
      mma_bf16(sums[n], a, b[0], b[1]);
      mma_bf16(sums[n + 1], a, b[2], b[3]);
    }
  }
}

/// Rows [row, +16) of to[.., stride] from sums[16, kDim]; those from `end` on are left out.
template <int kDim>
__device__ __forceinline__ void store_sums(const float (&sums)[kDim / 8][4], std::int64_t row,
                                           std::int64_t end, std::int64_t stride, bf16* to) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const std::int64_t at = row + lane / 4 + 8 * half;
    if (at >= end) continue;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      *reinterpret_cast<std::uint32_t*>(to + at * stride + 8 * n + 2 * (lane % 4)) =
          pack_bf16(sums[n][2 * half], sums[n][2 * half + 1]);
    }
  }
}

}  // namespace nativo::ops::cuda
