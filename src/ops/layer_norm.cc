// Checks shapes and hands out blocks of rows. See the header.
#include "ops/layer_norm.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel_work.h"
#include "ops/layer_norm_cpu.h"

namespace nativo::ops {

void layer_norm_forward(tensor::View<const float> x, tensor::View<const float> gamma,
                        tensor::View<const float> beta, float eps, tensor::View<float> y) {
  NATIVO_CHECK(x.shape().rank() == 2 && y.shape() == x.shape(), "layer norm takes matrices");
  NATIVO_CHECK(gamma.shape() == tensor::Shape{x.size(1)} && beta.shape() == gamma.shape(),
               "layer norm: gamma and beta have a value a column");
  constexpr std::int64_t kBlock = 16;
  const std::int64_t rows = x.size(0);
  const std::int64_t columns = x.size(1);
  parallel_work(static_cast<std::size_t>((rows + kBlock - 1) / kBlock),
                static_cast<double>(x.elements()) / 4.0, [&](std::size_t item) {
                  const std::int64_t first = static_cast<std::int64_t>(item) * kBlock;
                  cpu::layer_norm_rows(x.data() + first * columns, gamma.data(), beta.data(), eps,
                                       std::min(kBlock, rows - first), columns,
                                       y.data() + first * columns);
                });
}

}  // namespace nativo::ops
