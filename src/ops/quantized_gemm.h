// Linear layers whose frozen weight is quantised: y = x W^T and dx = dy W. There is no weight
// gradient. Rule: the weight exists in f32 only a panel of rows at a time, in the caller's scratch.
#pragma once

#include <cstdint>

#include "ops/gemm.h"
#include "ops/quantize.h"

namespace nativo::ops {

/// Floats of scratch for a weight [O,I]: a panel of at most 1 Mi weights (4 MiB), but at least 64
/// rows; the whole weight when it is smaller.
[[nodiscard]] std::int64_t quantized_linear_scratch(std::int64_t outputs, std::int64_t inputs);

/// y[N,O] = x[N,I] weight[O,I]^T (overwrites). `scratch` holds at least quantized_linear_scratch()
/// floats; its contents before and after mean nothing.
void quantized_linear_forward(tensor::View<const float> x, const QuantizedMatrix& weight,
                              tensor::View<float> scratch, tensor::View<float> y);

/// dx[N,I] = or += dy[N,O] weight[O,I]; scratch as above.
void quantized_linear_backward_input(tensor::View<const float> dy, const QuantizedMatrix& weight,
                                     tensor::View<float> scratch, tensor::View<float> dx,
                                     Write write);

}  // namespace nativo::ops
