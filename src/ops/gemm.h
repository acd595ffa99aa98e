// Linear layers: y = x W^T and its two gradients, through oneDNN's single-precision GEMM, on a GPU
// through cuBLASLt. Rule: on the CPU work is cut into tiles by its shape and the machine's
// processors, and each tile is summed by one thread, so that the bits do not depend on the number
// of threads; on a GPU the algorithm follows from the shape alone.
#pragma once

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Whether a result replaces what was there or is added to it.
enum class Write { kOverwrite, kAccumulate };

/// y[N,O] = x[N,I] weight[O,I]^T (overwrites). N = 1 is bound by memory and takes a path of its
/// own.
void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<float> y);

/// y[N,O] = x weight^T + bias[O] (overwrites).
void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<const float> bias, tensor::View<float> y);

/// dx[N,I] = or += dy[N,O] weight[O,I].
void linear_backward_input(tensor::View<const float> dy, tensor::View<const float> weight,
                           tensor::View<float> dx, Write write);

/// dweight[O,I] += dy[N,O]^T x[N,I].
void linear_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight);

/// On a GPU alone; sums in f32, rounded once.
void linear_forward(tensor::View<const tensor::bf16> x, tensor::View<const tensor::bf16> weight,
                    tensor::View<tensor::bf16> y);
void linear_forward(tensor::View<const tensor::bf16> x, tensor::View<const tensor::bf16> weight,
                    tensor::View<const tensor::bf16> bias, tensor::View<tensor::bf16> y);
void linear_backward_input(tensor::View<const tensor::bf16> dy,
                           tensor::View<const tensor::bf16> weight, tensor::View<tensor::bf16> dx,
                           Write write);
void linear_backward_weight(tensor::View<const tensor::bf16> dy, tensor::View<const tensor::bf16> x,
                            tensor::View<tensor::bf16> dweight);

}  // namespace nativo::ops
