// Checks shapes, then calls the CPU kernels.
#include "ops/rmsnorm.h"

#include <algorithm>

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

cpu::RmsnormHeads heads_of(const HeadRange& heads, tensor::View<const float> x,
                           tensor::View<const float> y, tensor::View<const float> weight,
                           tensor::View<const float> rstd) {
  NATIVO_CHECK(weight.shape().rank() == 1, "rmsnorm: weight is not [D]");
  const std::int64_t end = heads.first + heads.count;
  NATIVO_CHECK(x.size(0) == y.size(0) && x.size(0) == rstd.size(0) && end <= rstd.size(1) &&
                   end * weight.size(0) <= std::min(x.size(1), y.size(1)),
               "rmsnorm: heads do not fit in a row");
  return {x.size(0), heads.first, heads.count, weight.size(0), x.size(1), y.size(1), rstd.size(1)};
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

void rmsnorm_heads_forward(tensor::View<const float> x, const HeadRange& heads,
                           tensor::View<const float> weight, float eps, tensor::View<float> y,
                           tensor::View<float> rstd) {
  cpu::rmsnorm_heads_forward(heads_of(heads, x, y, weight, rstd), x.data(), weight.data(), eps,
                             y.data(), rstd.data());
}

void rmsnorm_heads_backward(tensor::View<float> dy, tensor::View<const float> x,
                            const HeadRange& heads, tensor::View<const float> weight,
                            tensor::View<const float> rstd, tensor::View<float> dweight,
                            tensor::View<float> partial) {
  const bool frozen = dweight.data() == nullptr;
  NATIVO_CHECK(frozen || dweight.shape() == weight.shape(),
               "rmsnorm: gradients differ from what they belong to");
  NATIVO_CHECK(partial.shape() == (tensor::Shape{rmsnorm_partial_rows(x.size(0)), weight.size(0)}),
               "rmsnorm: workspace has the wrong size");
  cpu::rmsnorm_heads_backward(heads_of(heads, x, dy, weight, rstd), x.data(), weight.data(),
                              rstd.data(), dy.data(), dweight.data(), partial.data());
}

}  // namespace nativo::ops
