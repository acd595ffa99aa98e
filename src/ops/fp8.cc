// Quantises both factors, then calls the device's product. See the header.
#include "ops/fp8.h"

#include <algorithm>

#include "base/error.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

using tensor::bf16;
using tensor::View;

/// Which way a factor lies: its rows as they are, or its columns as rows.
enum class Side { kLeft, kRight };

/// [rows, inner] of FP8, with its scale, in one half of the scratch.
cuda::Fp8Factor factor(View<const bf16> x, Fp8Format format, bool transposed, Side side,
                       const Fp8Scratch& scratch) {
  const bool is_left = side == Side::kLeft;
  const View<std::uint8_t>& codes = is_left ? scratch.left : scratch.right;
  NATIVO_CHECK(codes.elements() >= x.elements() && scratch.numbers.elements() >= kFp8Numbers,
               "scratch for FP8 is too small");
  float* numbers = scratch.numbers.data() + (is_left ? 0 : kFp8Parts + 1);
  const cuda::Fp8Factor made{codes.data(), numbers + kFp8Parts, format};
  cuda::quantize_fp8(x, transposed, numbers, made);
  return made;
}

void check(View<const bf16> rows_out, View<const bf16> rows_in, View<const bf16> weight) {
  NATIVO_CHECK(rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2 &&
                   weight.shape().rank() == 2 && rows_out.size(0) == rows_in.size(0) &&
                   rows_out.size(1) == weight.size(0) && rows_in.size(1) == weight.size(1),
               "linear: shapes differ");
  NATIVO_CHECK(fp8_fits(rows_in.size(0), weight.size(0), weight.size(1)),
               "FP8 wants sizes in sixteens");
  require_gpu(rows_out, rows_in, weight);
}

}  // namespace

Fp8ScratchSize fp8_scratch(std::int64_t rows, std::int64_t outputs, std::int64_t inputs) {
  return {rows * std::max(outputs, inputs), std::max(outputs, rows) * inputs};
}

void fp8_linear_forward(View<const bf16> x, View<const bf16> weight, const Fp8Scratch& scratch,
                        View<bf16> y) {
  check(y, x, weight);
  cuda::gemm(y.device(), {.m = x.size(0),
                          .n = weight.size(0),
                          .k = weight.size(1),
                          .a = factor(x, Fp8Format::kE4M3, false, Side::kLeft, scratch),
                          .b = factor(weight, Fp8Format::kE4M3, false, Side::kRight, scratch),
                          .c = y.data(),
                          .fast_sums = true});
}

void fp8_linear_backward_input(View<const bf16> dy, View<const bf16> weight,
                               const Fp8Scratch& scratch, View<bf16> dx) {
  check(dy, dx, weight);
  cuda::gemm(dx.device(), {.m = dy.size(0),
                           .n = weight.size(1),
                           .k = weight.size(0),
                           .a = factor(dy, Fp8Format::kE5M2, false, Side::kLeft, scratch),
                           .b = factor(weight, Fp8Format::kE4M3, true, Side::kRight, scratch),
                           .c = dx.data()});
}

void fp8_linear_backward_weight(View<const bf16> dy, View<const bf16> x, const Fp8Scratch& scratch,
                                View<bf16> dweight) {
  check(dy, x, dweight);
  cuda::gemm(dweight.device(), {.m = dweight.size(0),
                                .n = dweight.size(1),
                                .k = dy.size(0),
                                .a = factor(dy, Fp8Format::kE5M2, true, Side::kLeft, scratch),
                                .b = factor(x, Fp8Format::kE4M3, true, Side::kRight, scratch),
                                .c = dweight.data(),
                                .accumulates = true});
}

}  // namespace nativo::ops
