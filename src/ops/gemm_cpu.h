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

/// Runs `gemm` in tiles of at most tile_m x tile_n on all threads.
void gemm_tiled(const Gemm& gemm, std::int64_t tile_m, std::int64_t tile_n);

/// y[O] = weight[O,I] x[I].
void gemv(const float* weight, const float* x, std::int64_t outputs, std::int64_t inputs, float* y);

}  // namespace nativo::ops::cpu
