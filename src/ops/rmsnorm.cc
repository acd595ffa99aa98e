// Checks shapes, then calls the CPU kernels.
#include "ops/rmsnorm.h"

#include "base/error.h"
#include "ops/rmsnorm_cpu.h"

namespace nativo::ops {
namespace {

void check(tensor::View<const float> x, tensor::View<const float> y,
           tensor::View<const float> weight, tensor::View<const float> rstd) {
  NATIVO_CHECK(x.shape().rank() == 2 && x.shape() == y.shape(), "rmsnorm takes two equal matrices");
  NATIVO_CHECK(weight.shape() == tensor::Shape{x.size(1)}, "rmsnorm: weight is not [C]");
  NATIVO_CHECK(rstd.shape() == tensor::Shape{x.size(0)}, "rmsnorm: rstd is not [N]");
}

}  // namespace

void rmsnorm_forward(tensor::View<const float> x, tensor::View<const float> weight, float eps,
                     tensor::View<float> y, tensor::View<float> rstd) {
  check(x, y, weight, rstd);
  cpu::rmsnorm_forward(x.data(), weight.data(), eps, x.size(0), x.size(1), y.data(), rstd.data());
}

void rmsnorm_apply(tensor::View<const float> x, tensor::View<const float> weight,
                   tensor::View<const float> rstd, tensor::View<float> y) {
  check(x, y, weight, rstd);
  cpu::rmsnorm_apply(x.data(), weight.data(), rstd.data(), x.size(0), x.size(1), y.data());
}

std::int64_t rmsnorm_partial_rows(std::int64_t rows) {
  return (rows + cpu::kRmsnormBlock - 1) / cpu::kRmsnormBlock;
}

void rmsnorm_backward(tensor::View<const float> dy, tensor::View<const float> x,
                      tensor::View<const float> weight, tensor::View<const float> rstd,
                      tensor::View<float> dx, tensor::View<float> dweight,
                      tensor::View<float> partial) {
  check(x, dy, weight, rstd);
  const bool frozen = dweight.data() == nullptr;
  NATIVO_CHECK(dx.shape() == x.shape() && (frozen || dweight.shape() == weight.shape()),
               "rmsnorm: gradients differ from what they belong to");
  NATIVO_CHECK(partial.shape() == (tensor::Shape{rmsnorm_partial_rows(x.size(0)), x.size(1)}),
               "rmsnorm: workspace has the wrong size");
  cpu::rmsnorm_backward(dy.data(), x.data(), weight.data(), rstd.data(), x.size(0), x.size(1),
                        dx.data(), dweight.data(), partial.data());
}

}  // namespace nativo::ops
