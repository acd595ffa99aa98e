// The emulation's form of src/ops/cuda/intrinsics.cuh: the same functions on the processor.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "ops/fp8.h"
#include "tensor/bf16.h"
#include "tensor/device_memory.h"

namespace nativo::ops::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared,
            tensor::StreamHandle stream, Arguments... arguments) {
  emulation::run_in(stream, [=] {
    emulation::run_grid(grid, block, shared,
                        [&] { kernel(static_cast<Parameters>(arguments)...); });
  });
}

inline unsigned char* dynamic_shared() { return emulation::shared_memory(); }

inline std::uint32_t pack_bf16(float low, float high) {
  return static_cast<std::uint32_t>(tensor::f32_to_bf16(low)) |
         (static_cast<std::uint32_t>(tensor::f32_to_bf16(high)) << 16);
}

inline unsigned lane_index() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

inline float half_of(std::uint32_t word, unsigned which) {
  return tensor::bf16_to_f32(static_cast<std::uint16_t>(word >> (16 * which)));
}

inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                     std::uint32_t b1) {
  const std::uint32_t words[8] = {a[0], a[1], a[2], a[3], b0, b1, 0, 0};
  const auto* all = emulation::exchange_words(words);
  const unsigned lane = lane_index();
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + 8 * (i / 2);
    const unsigned column = 2 * (lane % 4) + i % 2;
    float sum = d[i];
    for (unsigned k = 0; k < 16; ++k) {
      const std::uint32_t x = all[row % 8 * 4 + k % 8 / 2][row / 8 + 2 * (k / 8)];
      const std::uint32_t y = all[column * 4 + k % 8 / 2][4 + k / 8];
      sum += half_of(x, k % 2) * half_of(y, k % 2);
    }
    d[i] = sum;
  }
}

inline const std::uint16_t* row_address(const std::uint32_t (*all)[8], unsigned lane) {
  std::uintptr_t address = 0;
  std::memcpy(&address, all[lane], sizeof address);
  return reinterpret_cast<const std::uint16_t*>(address);
}

inline const std::uint32_t (*exchange_addresses(const void* row))[8] {
  std::uint32_t words[8] = {};
  std::memcpy(words, &row, sizeof row);
  return emulation::exchange_words(words);
}

inline void load_matrices(std::uint32_t (&out)[4], const void* row) {
  const auto* all = exchange_addresses(row);
  const unsigned lane = lane_index();
  for (unsigned i = 0; i < 4; ++i) {
    std::memcpy(&out[i], row_address(all, 8 * i + lane / 4) + 2 * (lane % 4), 4);
  }
}

inline void load_matrices_transposed(std::uint32_t (&out)[4], const void* row) {
  const auto* all = exchange_addresses(row);
  const unsigned lane = lane_index();
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint32_t low = row_address(all, 8 * i + 2 * (lane % 4))[lane / 4];
    const std::uint32_t high = row_address(all, 8 * i + 2 * (lane % 4) + 1)[lane / 4];
    out[i] = low | (high << 16);
  }
}

inline void copy16_async(void* shared, const void* global, bool wanted) {
  emulation::copy_later(shared, wanted ? global : nullptr, 16);
}
inline void end_copies() { emulation::end_copy_group(); }
template <int kPending>
void wait_copies() {
  emulation::await_copies(kPending);
}

template <Fp8Format kFormat>
std::uint32_t fp8_code(float x) {
  return to_fp8(x, kFormat);
}

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace nativo::ops::cuda
