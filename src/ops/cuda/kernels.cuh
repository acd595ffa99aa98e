// What the kernels share: loads and stores of 8 elements at a time in f32, sums over a warp and a
// block in a fixed order. Not here: anything that only one op needs.
// Rule: memory is read and written 16 bytes at a time where rows allow it (`wide`), one by one
// otherwise; arithmetic is in f32 whatever the elements are.
#pragma once

#include <cstdint>

#include "ops/cuda/intrinsics.cuh"
#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops::cuda {

using tensor::bf16;
using tensor::compute_stream;
using tensor::View;

inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;
/// Elements that a thread takes at a time.
inline constexpr int kChunk = 8;
inline constexpr int kThreads = 256;

/// The grid that gives every one of `items` a thread.
inline dim3 grid_for(std::int64_t items, int threads = kThreads) {
  return dim3(static_cast<unsigned>((items + threads - 1) / threads));
}

inline bool is_aligned(const void* memory, std::size_t bytes = 16) {
  return reinterpret_cast<std::uintptr_t>(memory) % bytes == 0;
}

/// True when rows of `columns` elements from `memory` on can be read in whole chunks.
template <class... Pointers>
bool is_wide(std::int64_t columns, const Pointers*... memory) {
  return columns % kChunk == 0 && (is_aligned(memory) && ...);
}

__device__ __forceinline__ std::int64_t thread_index() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ float low_bf16(std::uint32_t pair) {
  return tensor::bf16_to_f32(static_cast<std::uint16_t>(pair & 0xFFFFU));
}
__device__ __forceinline__ float high_bf16(std::uint32_t pair) {
  return tensor::bf16_to_f32(static_cast<std::uint16_t>(pair >> 16));
}

__device__ __forceinline__ float value_of(float x) { return x; }
__device__ __forceinline__ float value_of(bf16 x) { return tensor::to_f32(x); }
__device__ __forceinline__ void assign(float& to, float x) { to = x; }
__device__ __forceinline__ void assign(bf16& to, float x) { to = tensor::to_bf16(x); }

/// x as it is after being stored as T.
template <class T>
__device__ __forceinline__ float rounded(float x) {
  T stored;
  assign(stored, x);
  return value_of(stored);
}

__device__ __forceinline__ void load_wide(const float* from, float (&to)[kChunk]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0];
  const float4 b = reinterpret_cast<const float4*>(from)[1];
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
  to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}

__device__ __forceinline__ void load_wide(const bf16* from, float (&to)[kChunk]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  to[0] = low_bf16(bits.x), to[1] = high_bf16(bits.x);
  to[2] = low_bf16(bits.y), to[3] = high_bf16(bits.y);
  to[4] = low_bf16(bits.z), to[5] = high_bf16(bits.z);
  to[6] = low_bf16(bits.w), to[7] = high_bf16(bits.w);
}

__device__ __forceinline__ void store_wide(const float (&from)[kChunk], float* to) {
  reinterpret_cast<float4*>(to)[0] = {from[0], from[1], from[2], from[3]};
  reinterpret_cast<float4*>(to)[1] = {from[4], from[5], from[6], from[7]};
}

__device__ __forceinline__ void store_wide(const float (&from)[kChunk], bf16* to) {
  *reinterpret_cast<uint4*>(to) = {pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]),
                                   pack_bf16(from[4], from[5]), pack_bf16(from[6], from[7])};
}

/// The first `left` of 8 elements, zeros behind them; `wide` only where left >= 8.
template <class T>
__device__ __forceinline__ void load(const T* from, std::int64_t left, bool wide,
                                     float (&to)[kChunk]) {
  if (wide && left >= kChunk) {
    load_wide(from, to);
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) to[i] = i < left ? value_of(from[i]) : 0.0F;
}

template <class T>
__device__ __forceinline__ void store(const float (&from)[kChunk], std::int64_t left, bool wide,
                                      T* to) {
  if (wide && left >= kChunk) {
    store_wide(from, to);
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (i < left) assign(to[i], from[i]);
  }
}

/// The sum over the warp, on every lane: a tree of fixed shape.
template <class Number>
__device__ __forceinline__ Number warp_sum(Number value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

/// NaN when any lane has one.
__device__ __forceinline__ float greater(float a, float b) { return a > b || a != a ? a : b; }

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    value = greater(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

/// The sum over a block of one dimension, on every thread. All threads of the block come.
template <class Number>
__device__ __forceinline__ Number block_sum(Number value) {
  __shared__ Number partial[32];
  value = warp_sum(value);
  if (blockDim.x <= 32) return value;
  const int lane = static_cast<int>(threadIdx.x % 32);
  __syncthreads();  // nobody reads the last sum's any more
  if (lane == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_sum(lane < static_cast<int>(blockDim.x / 32) ? partial[lane] : Number{0});
}

__device__ __forceinline__ float block_max(float value) {
  __shared__ float partial[32];
  value = warp_max(value);
  if (blockDim.x <= 32) return value;
  const int lane = static_cast<int>(threadIdx.x % 32);
  __syncthreads();
  if (lane == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_max(partial[lane < static_cast<int>(blockDim.x / 32) ? lane : 0]);
}

}  // namespace nativo::ops::cuda
