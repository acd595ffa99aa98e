// Linear layers: y = x W^T and its two gradients, through oneDNN's single-precision GEMM.
// Rule: work is cut into tiles by its shape and the machine's processors, and each tile is summed by
// one thread, so that the bits do not depend on the number of threads.
#pragma once

#include "tensor/view.h"

namespace nativo::ops {

/// Whether a result replaces what was there or is added to it.
enum class Write { kOverwrite, kAccumulate };

/// y[N,O] = x[N,I] weight[O,I]^T (overwrites). N = 1 is bound by memory and takes a path of its
/// own.
void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<float> y);

/// dx[N,I] = or += dy[N,O] weight[O,I].
void linear_backward_input(tensor::View<const float> dy, tensor::View<const float> weight,
                           tensor::View<float> dx, Write write);

/// dweight[O,I] += dy[N,O]^T x[N,I].
void linear_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight);

}  // namespace nativo::ops
