// What gemm.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

/// c[m,n] = op(a) op(b) + beta c, row-major; 'T' means that the stored matrix is the transpose.
struct Gemm {
  char transpose_a;
  char transpose_b;
  std::int64_t m, n, k;
  const float* a;
  std::int64_t lda;
  const float* b;
  std::int64_t ldb;
  float beta;
  float* c;
  std::int64_t ldc;
};

/// Runs `gemm` on all threads, in tiles that m, n and the machine's processors decide.
void gemm(const Gemm& gemm);

/// y[O] = weight[O,I] x[I].
void gemv(const float* weight, const float* x, std::int64_t outputs, std::int64_t inputs, float* y);

}  // namespace nativo::ops::cpu
