// Checks shapes. See the header.
#include "ops/gemm.h"

#include "base/error.h"
#include "ops/gemm_cpu.h"

namespace nativo::ops {
namespace {

void check_linear(tensor::View<const float> rows_out, tensor::View<const float> rows_in,
                  tensor::View<const float> weight) {
  NATIVO_CHECK(
      rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2 && weight.shape().rank() == 2,
      "linear takes matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "linear: rows differ");
  NATIVO_CHECK(rows_out.size(1) == weight.size(0), "linear: outputs differ");
  NATIVO_CHECK(rows_in.size(1) == weight.size(1), "linear: inputs differ");
}

}  // namespace

void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<float> y) {
  check_linear(y, x, weight);
  const std::int64_t rows = x.size(0);
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  if (rows == 1) {
    cpu::gemv(weight.data(), x.data(), outputs, inputs, y.data());
    return;
  }
  cpu::gemm({'N', 'T', rows, outputs, inputs, x.data(), inputs, weight.data(), inputs, 0.0F,
             y.data(), outputs});
}

void linear_backward_input(tensor::View<const float> dy, tensor::View<const float> weight,
                           tensor::View<float> dx, Write write) {
  check_linear(dy, dx, weight);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  cpu::gemm({'N', 'N', rows, inputs, outputs, dy.data(), outputs, weight.data(), inputs,
             write == Write::kAccumulate ? 1.0F : 0.0F, dx.data(), inputs});
}

void linear_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight) {
  check_linear(dy, x, dweight);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = dweight.size(0);
  const std::int64_t inputs = dweight.size(1);
  cpu::gemm({'T', 'N', outputs, inputs, rows, dy.data(), outputs, x.data(), inputs, 1.0F,
             dweight.data(), inputs});
}

}  // namespace nativo::ops
