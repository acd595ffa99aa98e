// The CUDA language for kernels that a C++ compiler compiles: a block's threads are fibres that run
// in turns, from one barrier or warp operation to the next. Finds wrong indices, wrong layouts and
// barriers that not all threads reach; with NATIVO_EMULATED_ORDER=descending or shuffled, barriers
// that are missing, too. Finds no speed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#include "cuda_runtime_api.h"

// NOLINTBEGIN: names are the CUDA language's
#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __constant__ static const
#define __launch_bounds__(...)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

namespace nativo::emulation {
/// Runs body() once for each thread of each block of the grid.
void run_grid(dim3 grid, dim3 block, std::size_t shared, const std::function<void()>& body);
unsigned char* shared_memory();
/// Gives `bits` to the lanes of the warp; returns what each of them gave, by lane.
const std::uint64_t* exchange(std::uint64_t bits);
/// The same for 8 words a lane: [lane][8].
const std::uint32_t (*exchange_words(const std::uint32_t* words))[8];
/// A thread's copy that arrives at the latest moment allowed, when the thread waits for its group,
/// or at once. `from` null = zeros.
void copy_later(void* to, const void* from, std::size_t bytes);
void end_copy_group();
/// For all groups that were ended but the last `pending`.
void await_copies(unsigned pending);
void block_barrier();
int block_count(int predicate);
}  // namespace nativo::emulation

inline void __syncthreads() { nativo::emulation::block_barrier(); }
inline int __syncthreads_or(int predicate) {
  return nativo::emulation::block_count(predicate) != 0 ? 1 : 0;
}
inline void __syncwarp(unsigned = ~0U) { nativo::emulation::exchange(0); }

template <class T>
inline T __shfl_sync(unsigned, T value, int from, int = 32) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const std::uint64_t its = nativo::emulation::exchange(bits)[from & 31];
  std::memcpy(&value, &its, sizeof value);
  return value;
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int with, int = 32) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  return __shfl_sync(mask, value, static_cast<int>(thread & 31U) ^ with);
}
inline unsigned __ballot_sync(unsigned, int predicate) {
  const std::uint64_t* all = nativo::emulation::exchange(predicate != 0 ? 1 : 0);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(all[lane] & 1) << lane;
  return bits;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
// NOLINTEND
