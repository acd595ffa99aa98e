// Checks shapes, then calls the device's product. See the header.
#include "ops/gemm.h"

#include "base/error.h"
#include "ops/cuda/ops.h"
#include "ops/elementwise.h"
#include "ops/gemm_cpu.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

using tensor::bf16;
using tensor::View;

template <class T>
void check_linear(View<const T> rows_out, View<const T> rows_in, View<const T> weight) {
  NATIVO_CHECK(
      rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2 && weight.shape().rank() == 2,
      "linear takes matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "linear: rows differ");
  NATIVO_CHECK(rows_out.size(1) == weight.size(0), "linear: outputs differ");
  NATIVO_CHECK(rows_in.size(1) == weight.size(1), "linear: inputs differ");
}

template <class T>
void gpu_forward(View<const T> x, View<const T> weight, const T* bias, View<T> y) {
  const std::int64_t inputs = weight.size(1);
  cuda::gemm<T>(y.device(), {.transpose_b = 'T',
                             .m = x.size(0),
                             .n = weight.size(0),
                             .k = inputs,
                             .a = x.data(),
                             .lda = inputs,
                             .b = weight.data(),
                             .ldb = inputs,
                             .c = y.data(),
                             .ldc = weight.size(0),
                             .bias = bias});
}

template <class T>
void gpu_backward_input(View<const T> dy, View<const T> weight, View<T> dx, Write write) {
  const std::int64_t inputs = weight.size(1);
  cuda::gemm<T>(dx.device(), {.m = dy.size(0),
                              .n = inputs,
                              .k = weight.size(0),
                              .a = dy.data(),
                              .lda = weight.size(0),
                              .b = weight.data(),
                              .ldb = inputs,
                              .c = dx.data(),
                              .ldc = inputs,
                              .beta = write == Write::kAccumulate ? 1.0F : 0.0F});
}

template <class T>
void gpu_backward_weight(View<const T> dy, View<const T> x, View<T> dweight) {
  const std::int64_t inputs = dweight.size(1);
  cuda::gemm<T>(dweight.device(), {.transpose_a = 'T',
                                   .m = dweight.size(0),
                                   .n = inputs,
                                   .k = dy.size(0),
                                   .a = dy.data(),
                                   .lda = dweight.size(0),
                                   .b = x.data(),
                                   .ldb = inputs,
                                   .c = dweight.data(),
                                   .ldc = inputs,
                                   .beta = 1.0F});
}

}  // namespace

void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<float> y) {
  check_linear<float>(y, x, weight);
  if (on_gpu(x, weight, y)) return gpu_forward<float>(x, weight, nullptr, y);
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

void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<const float> bias, tensor::View<float> y) {
  NATIVO_CHECK(bias.shape() == tensor::Shape{y.size(1)}, "linear: bias is not [O]");
  if (on_gpu(x, weight, bias, y)) {
    check_linear<float>(y, x, weight);
    return gpu_forward<float>(x, weight, bias.data(), y);
  }
  linear_forward(x, weight, y);
  add_bias(y, bias);
}

void linear_backward_input(tensor::View<const float> dy, tensor::View<const float> weight,
                           tensor::View<float> dx, Write write) {
  check_linear<float>(dy, dx, weight);
  if (on_gpu(dy, weight, dx)) return gpu_backward_input<float>(dy, weight, dx, write);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  cpu::gemm({'N', 'N', rows, inputs, outputs, dy.data(), outputs, weight.data(), inputs,
             write == Write::kAccumulate ? 1.0F : 0.0F, dx.data(), inputs});
}

void linear_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight) {
  check_linear<float>(dy, x, dweight);
  if (on_gpu(dweight, dy, x)) return gpu_backward_weight<float>(dy, x, dweight);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = dweight.size(0);
  const std::int64_t inputs = dweight.size(1);
  cpu::gemm({'T', 'N', outputs, inputs, rows, dy.data(), outputs, x.data(), inputs, 1.0F,
             dweight.data(), inputs});
}

void linear_forward(View<const bf16> x, View<const bf16> weight, View<bf16> y) {
  check_linear<bf16>(y, x, weight);
  require_gpu(y, x, weight);
  gpu_forward<bf16>(x, weight, nullptr, y);
}

void linear_forward(View<const bf16> x, View<const bf16> weight, View<const bf16> bias,
                    View<bf16> y) {
  check_linear<bf16>(y, x, weight);
  NATIVO_CHECK(bias.shape() == tensor::Shape{y.size(1)}, "linear: bias is not [O]");
  require_gpu(y, x, weight, bias);
  gpu_forward<bf16>(x, weight, bias.data(), y);
}

void linear_backward_input(View<const bf16> dy, View<const bf16> weight, View<bf16> dx,
                           Write write) {
  check_linear<bf16>(dy, dx, weight);
  require_gpu(dx, dy, weight);
  gpu_backward_input<bf16>(dy, weight, dx, write);
}

void linear_backward_weight(View<const bf16> dy, View<const bf16> x, View<bf16> dweight) {
  check_linear<bf16>(dy, x, dweight);
  require_gpu(dweight, dy, x);
  gpu_backward_weight<bf16>(dy, x, dweight);
}

}  // namespace nativo::ops
