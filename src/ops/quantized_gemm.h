// Linear layers whose frozen weight is quantised: y = x W^T and dx = dy W. There is no weight
// gradient. Rule: the weight exists in full precision only a panel of rows at a time, in the
// caller's scratch.
#pragma once

#include <cstdint>

#include "ops/gemm.h"
#include "ops/quantize.h"

namespace nativo::ops {

/// Elements of scratch for a weight [O,I]: a panel of at most 1 Mi weights, but at least 64 rows;
/// the whole weight when it is smaller. On a GPU panels are 16 times as large: its products are.
[[nodiscard]] std::int64_t quantized_linear_scratch(std::int64_t outputs, std::int64_t inputs,
                                                    const tensor::Device& device = {});

/// y[N,O] = x[N,I] weight[O,I]^T (overwrites). `scratch` holds at least quantized_linear_scratch()
/// floats; its contents before and after mean nothing.
void quantized_linear_forward(tensor::View<const float> x, const QuantizedMatrix& weight,
                              tensor::View<float> scratch, tensor::View<float> y);

/// dx[N,I] = or += dy[N,O] weight[O,I]; scratch as above.
void quantized_linear_backward_input(tensor::View<const float> dy, const QuantizedMatrix& weight,
                                     tensor::View<float> scratch, tensor::View<float> dx,
                                     Write write);

/// On a GPU alone.
void quantized_linear_forward(tensor::View<const tensor::bf16> x, const QuantizedMatrix& weight,
                              tensor::View<tensor::bf16> scratch, tensor::View<tensor::bf16> y);
void quantized_linear_backward_input(tensor::View<const tensor::bf16> dy,
                                     const QuantizedMatrix& weight,
                                     tensor::View<tensor::bf16> scratch,
                                     tensor::View<tensor::bf16> dx, Write write);

}  // namespace nativo::ops
