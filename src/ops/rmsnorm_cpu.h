// What rmsnorm.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

/// Rows whose contributions to dweight are summed one after another.
inline constexpr std::int64_t kRmsnormBlock = 64;

void rmsnorm_forward(const float* x, const float* weight, float eps, std::int64_t rows,
                     std::int64_t columns, float* y, float* rstd);
void rmsnorm_apply(const float* x, const float* weight, const float* rstd, std::int64_t rows,
                   std::int64_t columns, float* y);
void rmsnorm_backward(const float* dy, const float* x, const float* weight, const float* rstd,
                      std::int64_t rows, std::int64_t columns, float* dx, float* dweight,
                      float* partial);

/// Which part of each row the functions below work on.
struct RmsnormHeads {
  std::int64_t rows;
  std::int64_t first;
  std::int64_t count;
  std::int64_t dim;
  std::int64_t x_stride;
  std::int64_t y_stride;
  std::int64_t rstd_stride;
};
void rmsnorm_heads_forward(const RmsnormHeads& heads, const float* x, const float* weight,
                           float eps, float* y, float* rstd);
void rmsnorm_heads_backward(const RmsnormHeads& heads, const float* x, const float* weight,
                            const float* rstd, float* dy, float* dweight, float* partial);

}  // namespace nativo::ops::cpu
