// RMSNorm kernels, a block of rows at a time.
#include "ops/rmsnorm_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rmsnorm_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

void rmsnorm_scale_row(const float* x, const float* weight, float rstd, std::int64_t columns,
                       float* y) {
  const FloatTag d;
  const auto scale = hn::Set(d, rstd);
  for (std::int64_t i = 0; i < columns; i += float_lanes()) {
    const std::int64_t left = columns - i;
    const auto normed = hn::Mul(load_up_to(x + i, left), scale);
    store_up_to(hn::Mul(normed, load_up_to(weight + i, left)), y + i, left);
  }
}

void rmsnorm_forward_rows(const float* x, const float* weight, float eps, std::int64_t rows,
                          std::int64_t columns, float* y, float* rstd) {
  const FloatTag d;
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * columns;
    auto sum = hn::Zero(d);
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const auto value = load_up_to(from + i, columns - i);
      sum = hn::MulAdd(value, value, sum);
    }
    rstd[row] = 1.0F / std::sqrt(sum_lanes(sum) / static_cast<float>(columns) + eps);
    rmsnorm_scale_row(from, weight, rstd[row], columns, y + row * columns);
  }
}

void rmsnorm_apply_rows(const float* x, const float* weight, const float* rstd, std::int64_t rows,
                        std::int64_t columns, float* y) {
  for (std::int64_t row = 0; row < rows; ++row) {
    rmsnorm_scale_row(x + row * columns, weight, rstd[row], columns, y + row * columns);
  }
}

/// dx += rstd * (dy w - x * rstd^2 * mean(dy w x)); dweight = sum over the rows of dy x rstd.
void rmsnorm_backward_rows(const float* dy, const float* x, const float* weight, const float* rstd,
                           std::int64_t rows, std::int64_t columns, float* dx, float* dweight) {
  const FloatTag d;
  if (dweight != nullptr) {
    std::memset(dweight, 0, static_cast<std::size_t>(columns) * sizeof(float));
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* in = x + row * columns;
    const float* grad = dy + row * columns;
    float* out = dx + row * columns;
    const float r = rstd[row];
    auto sum = hn::Zero(d);
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const std::int64_t left = columns - i;
      const auto weighted = hn::Mul(load_up_to(grad + i, left), load_up_to(weight + i, left));
      sum = hn::MulAdd(weighted, load_up_to(in + i, left), sum);
    }
    const auto along = hn::Set(d, -r * r * r * sum_lanes(sum) / static_cast<float>(columns));
    const auto scale = hn::Set(d, r);
    for (std::int64_t i = 0; i < columns; i += float_lanes()) {
      const std::int64_t left = columns - i;
      const auto value = load_up_to(in + i, left);
      const auto scaled = hn::Mul(load_up_to(grad + i, left), scale);
      auto total = load_up_to(out + i, left);
      total = hn::MulAdd(scaled, load_up_to(weight + i, left), total);
      store_up_to(hn::MulAdd(along, value, total), out + i, left);
      if (dweight == nullptr) continue;  // frozen
      store_up_to(hn::MulAdd(scaled, value, load_up_to(dweight + i, left)), dweight + i, left);
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(rmsnorm_forward_rows);
HWY_EXPORT(rmsnorm_apply_rows);
HWY_EXPORT(rmsnorm_backward_rows);

/// Calls body(first, count) for each block of rows on all threads.
template <class Body>
void for_row_blocks(std::int64_t rows, const Body& body) {
  const std::int64_t blocks = (rows + cpu::kRmsnormBlock - 1) / cpu::kRmsnormBlock;
  parallel_for(static_cast<std::size_t>(blocks), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * cpu::kRmsnormBlock;
    body(first, std::min(cpu::kRmsnormBlock, rows - first));
  });
}
}  // namespace

namespace cpu {

void rmsnorm_forward(const float* x, const float* weight, float eps, std::int64_t rows,
                     std::int64_t columns, float* y, float* rstd) {
  for_row_blocks(rows, [&](std::int64_t first, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(rmsnorm_forward_rows)
    (x + first * columns, weight, eps, count, columns, y + first * columns, rstd + first);
  });
}

void rmsnorm_apply(const float* x, const float* weight, const float* rstd, std::int64_t rows,
                   std::int64_t columns, float* y) {
  for_row_blocks(rows, [&](std::int64_t first, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(rmsnorm_apply_rows)
    (x + first * columns, weight, rstd + first, count, columns, y + first * columns);
  });
}

void rmsnorm_backward(const float* dy, const float* x, const float* weight, const float* rstd,
                      std::int64_t rows, std::int64_t columns, float* dx, float* dweight,
                      float* partial) {
  for_row_blocks(rows, [&](std::int64_t first, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(rmsnorm_backward_rows)
    (dy + first * columns, x + first * columns, weight, rstd + first, count, columns,
     dx + first * columns,
     dweight == nullptr ? nullptr : partial + first / kRmsnormBlock * columns);
  });
  if (dweight == nullptr) return;
  const std::int64_t blocks = (rows + kRmsnormBlock - 1) / kRmsnormBlock;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t i = 0; i < columns; ++i) dweight[i] += partial[block * columns + i];
  }
}

void rmsnorm_heads_forward(const RmsnormHeads& heads, const float* x, const float* weight,
                           float eps, float* y, float* rstd) {
  const std::int64_t column = heads.first * heads.dim;
  for_row_blocks(heads.rows, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t row = first; row < first + count; ++row) {
      HWY_DYNAMIC_DISPATCH(rmsnorm_forward_rows)
      (x + row * heads.x_stride + column, weight, eps, heads.count, heads.dim,
       y + row * heads.y_stride + column, rstd + row * heads.rstd_stride + heads.first);
    }
  });
}

void rmsnorm_heads_backward(const RmsnormHeads& heads, const float* x, const float* weight,
                            const float* rstd, float* dy, float* dweight, float* partial) {
  const std::int64_t column = heads.first * heads.dim;
  const auto size = static_cast<std::size_t>(heads.count * heads.dim);
  const auto dim = static_cast<std::size_t>(heads.dim);
  for_row_blocks(heads.rows, [&](std::int64_t first, std::int64_t count) {
    std::vector<float> dx(size);
    std::vector<float> of_row(dim);
    float* sum = partial + first / kRmsnormBlock * heads.dim;
    std::fill_n(sum, dim, 0.0F);
    for (std::int64_t row = first; row < first + count; ++row) {
      float* gradient = dy + row * heads.y_stride + column;
      std::fill(dx.begin(), dx.end(), 0.0F);
      HWY_DYNAMIC_DISPATCH(rmsnorm_backward_rows)
      (gradient, x + row * heads.x_stride + column, weight,
       rstd + row * heads.rstd_stride + heads.first, heads.count, heads.dim, dx.data(),
       dweight == nullptr ? nullptr : of_row.data());
      std::copy(dx.begin(), dx.end(), gradient);
      if (dweight == nullptr) continue;
      for (std::size_t i = 0; i < dim; ++i) sum[i] += of_row[i];
    }
  });
  if (dweight == nullptr) return;
  const std::int64_t blocks = (heads.rows + kRmsnormBlock - 1) / kRmsnormBlock;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t i = 0; i < heads.dim; ++i) dweight[i] += partial[block * heads.dim + i];
  }
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
