// bf16 to FP8 with one scale a tensor: the largest magnitude first, then the codes, as they lie or
// transposed, for the product that wants both factors row by row. Bound by memory.
#include <algorithm>

#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

/// Rows and columns of a tile that a block quantises.
constexpr int kSide = 64;
/// Bytes between a transposed tile's rows: whole words, and not all in one bank.
constexpr int kTileStride = kSide + 8;

/// largest[block] = the largest magnitude of every gridDim.x-th run of chunks.
__global__ void largest_kernel(const bf16* x, std::int64_t chunks, float* largest) {
  float most = 0.0F;
  for (std::int64_t i = thread_index(); i < chunks;
       i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    float values[kChunk];
    load_wide(x + i * kChunk, values);
#pragma unroll
    for (int j = 0; j < kChunk; ++j) most = greater(fabsf(values[j]), most);
  }
  most = block_max(most);
  if (threadIdx.x == 0) largest[blockIdx.x] = most;
}

template <Fp8Format kFormat>
__device__ __forceinline__ uint2 codes_of(const float (&values)[kChunk], float inverse) {
  uint2 codes{0, 0};
#pragma unroll
  for (int j = 0; j < kChunk; ++j) {
    const std::uint32_t code = fp8_code<kFormat>(values[j] * inverse);
    (j < 4 ? codes.x : codes.y) |= code << (8 * (j % 4));
  }
  return codes;
}

/// codes[rows, columns], or [columns, rows] when transposed, and scale[1].
template <Fp8Format kFormat, bool kTransposed>
__global__ void quantize_kernel(const bf16* x, std::int64_t rows, std::int64_t columns,
                                const float* largest, int parts, std::uint8_t* codes,
                                float* scale_out) {
  __shared__ uint2 tile[kSide * kTileStride / sizeof(uint2)];
  float most = 0.0F;
  for (int i = static_cast<int>(threadIdx.x); i < parts; i += static_cast<int>(blockDim.x)) {
    most = greater(largest[i], most);
  }
  const float scale = fp8_scale(block_max(most), kFormat);
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) *scale_out = scale;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * kSide;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * kSide;
  auto* bytes = reinterpret_cast<std::uint8_t*>(tile);
  constexpr int kItems = kSide * kSide / kChunk;
  for (int item = static_cast<int>(threadIdx.x); item < kItems; item += kThreads) {
    const int row = item / (kSide / kChunk);
    const int column = item % (kSide / kChunk) * kChunk;
    if (first_row + row >= rows || first_column + column >= columns) continue;
    const std::int64_t index = (first_row + row) * columns + first_column + column;
    float values[kChunk];
    load_wide(x + index, values);
    const uint2 eight = codes_of<kFormat>(values, 1.0F / scale);
    if constexpr (kTransposed) {
#pragma unroll
      for (int j = 0; j < kChunk; ++j) {
        bytes[(column + j) * kTileStride + row] =
            static_cast<std::uint8_t>((j < 4 ? eight.x : eight.y) >> (8 * (j % 4)));
      }
    } else {
      *reinterpret_cast<uint2*>(codes + index) = eight;
    }
  }
  if constexpr (kTransposed) {
    __syncthreads();
    for (int item = static_cast<int>(threadIdx.x); item < kItems; item += kThreads) {
      const int column = item / (kSide / kChunk);
      const int row = item % (kSide / kChunk) * kChunk;
      if (first_row + row >= rows || first_column + column >= columns) continue;
      *reinterpret_cast<uint2*>(codes + (first_column + column) * rows + first_row + row) =
          *reinterpret_cast<const uint2*>(bytes + column * kTileStride + row);
    }
  }
}

template <Fp8Format kFormat, bool kTransposed>
void run(View<const bf16> x, int parts, const float* largest, const Fp8Factor& to) {
  const dim3 grid(static_cast<unsigned>((x.size(1) + kSide - 1) / kSide),
                  static_cast<unsigned>((x.size(0) + kSide - 1) / kSide));
  launch(quantize_kernel<kFormat, kTransposed>, grid, dim3(kThreads), 0, compute_stream(x.device()),
         x.data(), x.size(0), x.size(1), largest, parts, to.codes, to.scale);
}

}  // namespace

void quantize_fp8(View<const bf16> x, bool transposed, float* largest, const Fp8Factor& to) {
  const std::int64_t chunks = x.elements() / kChunk;
  const std::int64_t parts = std::min<std::int64_t>(kFp8Parts, (chunks + kThreads - 1) / kThreads);
  launch(largest_kernel, dim3(static_cast<unsigned>(parts)), dim3(kThreads), 0,
         compute_stream(x.device()), x.data(), chunks, largest);
  const auto count = static_cast<int>(parts);
  if (to.format == Fp8Format::kE4M3) {
    transposed ? run<Fp8Format::kE4M3, true>(x, count, largest, to)
               : run<Fp8Format::kE4M3, false>(x, count, largest, to);
  } else {
    transposed ? run<Fp8Format::kE5M2, true>(x, count, largest, to)
               : run<Fp8Format::kE5M2, false>(x, count, largest, to);
  }
}

}  // namespace nativo::ops::cuda
