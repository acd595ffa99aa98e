// Checks shapes, then calls the device's kernels.
#include "ops/rmsnorm.h"

#include <algorithm>

#include "base/error.h"
#include "ops/cuda/ops.h"
#include "ops/elementwise.h"
#include "ops/rmsnorm_cpu.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

using tensor::bf16;
using tensor::View;

template <class T>
void check(View<const T> x, View<const T> y, View<const T> weight, View<const float> rstd) {
  NATIVO_CHECK(x.shape().rank() == 2 && x.shape() == y.shape(), "rmsnorm takes two equal matrices");
  NATIVO_CHECK(weight.shape() == tensor::Shape{x.size(1)}, "rmsnorm: weight is not [C]");
  NATIVO_CHECK(rstd.shape() == tensor::Shape{x.size(0)}, "rmsnorm: rstd is not [N]");
}

template <class T>
void check_heads(const HeadRange& heads, View<const T> x, View<const T> y, View<const T> weight,
                 View<const float> rstd) {
  NATIVO_CHECK(weight.shape().rank() == 1, "rmsnorm: weight is not [D]");
  const std::int64_t end = heads.first + heads.count;
  NATIVO_CHECK(x.size(0) == y.size(0) && x.size(0) == rstd.size(0) && end <= rstd.size(1) &&
                   end * weight.size(0) <= std::min(x.size(1), y.size(1)),
               "rmsnorm: heads do not fit in a row");
}

template <class T>
void check_backward(View<const T> weight, View<T> dweight, View<float> partial,
                    std::int64_t partial_rows) {
  NATIVO_CHECK(dweight.data() == nullptr || dweight.shape() == weight.shape(),
               "rmsnorm: gradients differ from what they belong to");
  NATIVO_CHECK(partial.shape() == (tensor::Shape{partial_rows, weight.size(0)}),
               "rmsnorm: workspace has the wrong size");
}

cpu::RmsnormHeads cpu_heads(const HeadRange& heads, View<const float> x, View<const float> y,
                            View<const float> weight, View<const float> rstd) {
  return {x.size(0), heads.first, heads.count, weight.size(0), x.size(1), y.size(1), rstd.size(1)};
}

template <class T>
cuda::NormRows gpu_heads(const HeadRange& heads, View<const T> x, View<const T> y,
                         View<const T> weight, View<const float> rstd) {
  return {x.size(0), heads.first, heads.count, weight.size(0), x.size(1), y.size(1), rstd.size(1)};
}

template <class T>
cuda::NormRows gpu_rows(View<const T> x) {
  return {x.size(0), 0, 1, x.size(1), x.size(1), x.size(1), 1};
}

template <class T>
void gpu_forward(View<const T> x, View<const T> weight, float eps, View<T> y, View<float> rstd) {
  cuda::Rmsnorm<T>::forward(x.device(), gpu_rows(x), x.data(), nullptr, nullptr, weight.data(), eps,
                            y.data(), rstd.data());
}

template <class T>
void gpu_apply(View<const T> x, View<const T> weight, View<const float> rstd, View<T> y) {
  cuda::Rmsnorm<T>::apply(x.device(), gpu_rows(x), x.data(), weight.data(), rstd.data(), y.data());
}

template <class T>
void gpu_add_forward(View<const T> a, View<const T> b, View<const T> weight, float eps, View<T> sum,
                     View<T> y, View<float> rstd) {
  cuda::Rmsnorm<T>::forward(a.device(), gpu_rows(a), a.data(), b.data(), sum.data(), weight.data(),
                            eps, y.data(), rstd.data());
}

template <class T>
void gpu_backward(View<const T> dy, View<const T> x, View<const T> weight, View<const float> rstd,
                  View<T> dx, View<T> dweight, View<float> partial) {
  cuda::Rmsnorm<T>::backward(x.device(), gpu_rows(x), dy.data(), x.data(), weight.data(),
                             rstd.data(), false, dx.data(), dweight.data(), partial.data());
}

template <class T>
void gpu_heads_forward(View<const T> x, const HeadRange& heads, View<const T> weight, float eps,
                       View<T> y, View<float> rstd) {
  cuda::Rmsnorm<T>::forward(x.device(), gpu_heads<T>(heads, x, y, weight, rstd), x.data(), nullptr,
                            nullptr, weight.data(), eps, y.data(), rstd.data());
}

template <class T>
void gpu_heads_backward(View<T> dy, View<const T> x, const HeadRange& heads, View<const T> weight,
                        View<const float> rstd, View<T> dweight, View<float> partial) {
  cuda::Rmsnorm<T>::backward(x.device(), gpu_heads<T>(heads, x, dy, weight, rstd), dy.data(),
                             x.data(), weight.data(), rstd.data(), true, dy.data(), dweight.data(),
                             partial.data());
}

}  // namespace

void rmsnorm_forward(View<const float> x, View<const float> weight, float eps, View<float> y,
                     View<float> rstd) {
  check<float>(x, y, weight, rstd);
  if (on_gpu(x, weight, y, rstd)) return gpu_forward(x, weight, eps, y, rstd);
  cpu::rmsnorm_forward(x.data(), weight.data(), eps, x.size(0), x.size(1), y.data(), rstd.data());
}

void rmsnorm_apply(View<const float> x, View<const float> weight, View<const float> rstd,
                   View<float> y) {
  check<float>(x, y, weight, rstd);
  if (on_gpu(x, weight, rstd, y)) return gpu_apply(x, weight, rstd, y);
  cpu::rmsnorm_apply(x.data(), weight.data(), rstd.data(), x.size(0), x.size(1), y.data());
}

void add_rmsnorm_forward(View<const float> a, View<const float> b, View<const float> weight,
                         float eps, View<float> sum, View<float> y, View<float> rstd) {
  check<float>(sum, y, weight, rstd);
  if (on_gpu(a, b, weight, sum, y, rstd)) {
    NATIVO_CHECK(a.shape() == sum.shape() && b.shape() == sum.shape(), "add: shapes differ");
    return gpu_add_forward(a, b, weight, eps, sum, y, rstd);
  }
  add(a, b, sum);
  rmsnorm_forward(sum, weight, eps, y, rstd);
}

std::int64_t rmsnorm_partial_rows(std::int64_t rows, const tensor::Device& device) {
  const std::int64_t group = device.is_cuda() ? cuda::kNormGroup : cpu::kRmsnormBlock;
  return (rows + group - 1) / group;
}

std::int64_t rmsnorm_heads_partial_rows(std::int64_t rows, std::int64_t heads,
                                        const tensor::Device& device) {
  return rmsnorm_partial_rows(device.is_cuda() ? rows * heads : rows, device);
}

void rmsnorm_backward(View<const float> dy, View<const float> x, View<const float> weight,
                      View<const float> rstd, View<float> dx, View<float> dweight,
                      View<float> partial) {
  check<float>(x, dy, weight, rstd);
  NATIVO_CHECK(dx.shape() == x.shape(), "rmsnorm: gradients differ from what they belong to");
  check_backward<float>(weight, dweight, partial, rmsnorm_partial_rows(x.size(0), x.device()));
  if (on_gpu(dy, x, weight, rstd, dx, dweight, partial)) {
    return gpu_backward(dy, x, weight, rstd, dx, dweight, partial);
  }
  cpu::rmsnorm_backward(dy.data(), x.data(), weight.data(), rstd.data(), x.size(0), x.size(1),
                        dx.data(), dweight.data(), partial.data());
}

void rmsnorm_heads_forward(View<const float> x, const HeadRange& heads, View<const float> weight,
                           float eps, View<float> y, View<float> rstd) {
  check_heads<float>(heads, x, y, weight, rstd);
  if (on_gpu(x, weight, y, rstd)) return gpu_heads_forward(x, heads, weight, eps, y, rstd);
  cpu::rmsnorm_heads_forward(cpu_heads(heads, x, y, weight, rstd), x.data(), weight.data(), eps,
                             y.data(), rstd.data());
}

void rmsnorm_heads_backward(View<float> dy, View<const float> x, const HeadRange& heads,
                            View<const float> weight, View<const float> rstd, View<float> dweight,
                            View<float> partial) {
  check_heads<float>(heads, x, dy, weight, rstd);
  check_backward<float>(weight, dweight, partial,
                        rmsnorm_heads_partial_rows(x.size(0), heads.count, x.device()));
  if (on_gpu(dy, x, weight, rstd, dweight, partial)) {
    return gpu_heads_backward(dy, x, heads, weight, rstd, dweight, partial);
  }
  cpu::rmsnorm_heads_backward(cpu_heads(heads, x, dy, weight, rstd), x.data(), weight.data(),
                              rstd.data(), dy.data(), dweight.data(), partial.data());
}

void rmsnorm_forward(View<const bf16> x, View<const bf16> weight, float eps, View<bf16> y,
                     View<float> rstd) {
  check<bf16>(x, y, weight, rstd);
  require_gpu(x, weight, y, rstd);
  gpu_forward(x, weight, eps, y, rstd);
}

void rmsnorm_apply(View<const bf16> x, View<const bf16> weight, View<const float> rstd,
                   View<bf16> y) {
  check<bf16>(x, y, weight, rstd);
  require_gpu(x, weight, rstd, y);
  gpu_apply(x, weight, rstd, y);
}

void add_rmsnorm_forward(View<const bf16> a, View<const bf16> b, View<const bf16> weight, float eps,
                         View<bf16> sum, View<bf16> y, View<float> rstd) {
  check<bf16>(sum, y, weight, rstd);
  NATIVO_CHECK(a.shape() == sum.shape() && b.shape() == sum.shape(), "add: shapes differ");
  require_gpu(a, b, weight, sum, y, rstd);
  gpu_add_forward(a, b, weight, eps, sum, y, rstd);
}

void rmsnorm_backward(View<const bf16> dy, View<const bf16> x, View<const bf16> weight,
                      View<const float> rstd, View<bf16> dx, View<bf16> dweight,
                      View<float> partial) {
  check<bf16>(x, dy, weight, rstd);
  NATIVO_CHECK(dx.shape() == x.shape(), "rmsnorm: gradients differ from what they belong to");
  check_backward<bf16>(weight, dweight, partial, rmsnorm_partial_rows(x.size(0), x.device()));
  require_gpu(dy, x, weight, rstd, dx, dweight, partial);
  gpu_backward(dy, x, weight, rstd, dx, dweight, partial);
}

void rmsnorm_heads_forward(View<const bf16> x, const HeadRange& heads, View<const bf16> weight,
                           float eps, View<bf16> y, View<float> rstd) {
  check_heads<bf16>(heads, x, y, weight, rstd);
  require_gpu(x, weight, y, rstd);
  gpu_heads_forward(x, heads, weight, eps, y, rstd);
}

void rmsnorm_heads_backward(View<bf16> dy, View<const bf16> x, const HeadRange& heads,
                            View<const bf16> weight, View<const float> rstd, View<bf16> dweight,
                            View<float> partial) {
  check_heads<bf16>(heads, x, dy, weight, rstd);
  check_backward<bf16>(weight, dweight, partial,
                       rmsnorm_heads_partial_rows(x.size(0), heads.count, x.device()));
  require_gpu(dy, x, weight, rstd, dweight, partial);
  gpu_heads_backward(dy, x, heads, weight, rstd, dweight, partial);
}

}  // namespace nativo::ops
