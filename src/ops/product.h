// A matrix product of either device, for ops that are made of several. Not for other folders.
#pragma once

#include "ops/cuda/ops.h"
#include "ops/gemm_cpu.h"

namespace nativo::ops {

/// See cuda::Gemm; on the CPU, which has f32 alone, no bias, and alpha = 1 or beta = 0.
template <class T>
void multiply(const tensor::Device& device, const cuda::Gemm<T>& product) {
  if (device.is_cuda()) return cuda::gemm<T>(device, product);
  if constexpr (sizeof(T) == sizeof(float)) {
    cpu::gemm({product.transpose_a, product.transpose_b, product.m, product.n, product.k, product.a,
               product.lda, product.b, product.ldb, product.beta, product.c, product.ldc});
    if (product.alpha == 1.0F) return;
    for (std::int64_t i = 0; i < product.m * product.n; ++i) product.c[i] *= product.alpha;
  }
}

}  // namespace nativo::ops
