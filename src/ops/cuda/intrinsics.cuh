// What kernels need beyond the CUDA language: launching, dynamic shared memory, tensor-core
// products. Rule: kernels use nothing of a GPU but the CUDA language and this file, so that the
// tests can run them on the processor with another file of this name (tests/cuda/emulation).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "ops/fp8.h"
#include "tensor/cuda/check.h"
#include "tensor/device_memory.h"

namespace nativo::ops::cuda {

/// Runs `kernel` on `stream` with `shared` bytes of dynamic shared memory.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared,
            tensor::StreamHandle stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared > std::size_t{48} << 10) {
    tensor::cuda_check(
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
        "shared memory of a kernel");
  }
  kernel<<<grid, block, shared, stream>>>(static_cast<Parameters>(arguments)...);
  tensor::cuda_check(cudaGetLastError(), "launching a kernel");
}

/// The block's dynamic shared memory, 16-byte aligned.
__device__ __forceinline__ unsigned char* dynamic_shared() {
  extern __shared__ uint4 nativo_dynamic_shared[];
  return reinterpret_cast<unsigned char*>(nativo_dynamic_shared);
}

/// Two f32 as bf16, to nearest even, `low` in the lower half.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  std::uint32_t bits;
  memcpy(&bits, &both, sizeof bits);
  return bits;
}

/// d[16,8] += a[16,16] b[16,8] in bf16 with f32 sums, one warp. With g = lane / 4 and t = lane % 4:
/// a[0] holds (g, 2t), (g, 2t+1); a[1] row g+8; a[2] columns +8; a[3] both. b[0] holds (2t, g),
/// (2t+1, g); b[1] rows +8. d[0], d[1] are (g, 2t), (g, 2t+1); d[2], d[3] row g+8.
/// Source: PTX ISA, mma.m16n8k16.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                         std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four 8 x 8 matrices of 16-bit numbers from shared memory: lane 8 i + r gives the address of row
/// r of matrix i; lane l gets in out[i] the numbers 2 (l % 4) and the next of row l / 4. Source:
/// PTX ISA, ldmatrix.
__device__ __forceinline__ void load_matrices(std::uint32_t (&out)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

/// The same, each matrix transposed.
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&out)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}

/// 16 bytes from global to shared memory without passing registers; zeros when not `wanted`.
__device__ __forceinline__ void copy16_async(void* shared, const void* global, bool wanted) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = wanted ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
               "r"(bytes)
               : "memory");
}
/// Ends a group of copies; wait_copies<n> returns when all but the last n groups have arrived.
__device__ __forceinline__ void end_copies() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

/// x in FP8, to nearest even, saturating; see ops/fp8.h.
template <Fp8Format kFormat>
__device__ __forceinline__ std::uint32_t fp8_code(float x) {
  return __nv_cvt_float_to_fp8(x, __NV_SATFINITE,
                               kFormat == Fp8Format::kE4M3 ? __NV_E4M3 : __NV_E5M2);
}

/// 2^x to 2 ULP.
__device__ __forceinline__ float exp2_fast(float x) { return exp2f(x); }

}  // namespace nativo::ops::cuda
