// Quantised weights back to numbers, just in time for a product. Bound by memory.
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

struct Scales {
  const float* plain;  ///< null when they are doubly quantised
  const std::uint8_t* codes;
  const float* ranges;
};

/// Passed by value: a kernel cannot index the host's table.
struct Levels {
  float of[16];
};

__device__ __forceinline__ float scale_at(const Scales& scales, std::int64_t index) {
  if (scales.plain != nullptr) return scales.plain[index];
  const float* range = scales.ranges + index / kScaleGroup * 2;
  return range[0] + range[1] * static_cast<float>(scales.codes[index]);
}

/// A thread 8 bytes of codes: 8 weights of kInt8, 8 + 8 weights 32 apart of kNf4.
template <class T, QuantFormat kFormat>
__global__ void dequantize_kernel(const std::uint8_t* codes, Scales scales, Levels table,
                                  std::int64_t first, std::int64_t rows, std::int64_t columns,
                                  bool wide, T* out) {
  constexpr bool kNf4 = kFormat == QuantFormat::kNf4;
  constexpr int kBytes = kNf4 ? kQuantBlock / 2 : kQuantBlock;
  constexpr int kParts = kBytes / 8;
  __shared__ float levels[16];
  if (threadIdx.x < 16) levels[threadIdx.x] = table.of[threadIdx.x];
  __syncthreads();
  const std::int64_t blocks = (columns + kQuantBlock - 1) / kQuantBlock;
  const std::int64_t item = thread_index();
  if (item >= rows * blocks * kParts) return;
  const std::int64_t row = item / (blocks * kParts);
  const std::int64_t block = item / kParts % blocks;
  const int part = static_cast<int>(item % kParts) * 8;
  const std::int64_t index = (first + row) * blocks + block;
  const float scale = scale_at(scales, index);
  // Rows of codes are whole blocks: 8 bytes never cross one, nor an aligned word.
  const uint2 words = *reinterpret_cast<const uint2*>(codes + index * kBytes + part);
  const std::int64_t column = block * kQuantBlock + part;
  T* to = out + row * columns + column;
  float low[kChunk];
  float high[kChunk];
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    const unsigned code = ((i < 4 ? words.x : words.y) >> (8 * (i % 4))) & 0xFFU;
    if (kNf4) {
      low[i] = levels[code & 15U] * scale;
      high[i] = levels[code >> 4] * scale;
    } else {
      low[i] = static_cast<float>(static_cast<std::int8_t>(code)) * (scale * (1.0F / 127.0F));
    }
  }
  store(low, columns - column, wide, to);
  if (kNf4) store(high, columns - column - kQuantBlock / 2, wide, to + kQuantBlock / 2);
}

template <class T, QuantFormat kFormat>
void run(const QuantizedMatrix& from, std::int64_t first, View<T> out) {
  constexpr std::int64_t kParts =
      (kFormat == QuantFormat::kNf4 ? kQuantBlock / 2 : kQuantBlock) / 8;
  const std::int64_t blocks = (from.columns + kQuantBlock - 1) / kQuantBlock;
  const bool plain = from.scale_format == ScaleFormat::kF32;
  const Scales scales{plain ? from.scales.data() : nullptr, from.scale_codes.data(),
                      from.scale_ranges.data()};
  Levels table{};
  for (int i = 0; i < 16; ++i) table.of[i] = kNf4Levels[i];
  launch(dequantize_kernel<T, kFormat>, grid_for(out.size(0) * blocks * kParts), dim3(kThreads), 0,
         compute_stream(out.device()), from.codes.data(), scales, table, first, out.size(0),
         from.columns, is_wide(from.columns, out.data()), out.data());
}

}  // namespace

template <class T>
void Quantized<T>::dequantize_rows(const QuantizedMatrix& from, std::int64_t first, View<T> out) {
  if (from.format == QuantFormat::kNf4) {
    run<T, QuantFormat::kNf4>(from, first, out);
  } else {
    run<T, QuantFormat::kInt8>(from, first, out);
  }
}

template struct Quantized<float>;
template struct Quantized<bf16>;

}  // namespace nativo::ops::cuda
