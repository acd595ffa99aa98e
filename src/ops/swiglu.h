// The gated activation of the MLP: act = silu(gate) * up, silu(g) = g / (1 + e^-g).
// Source: Shazeer, arXiv:2002.05202. Not here: the projections around it (ops/gemm.h).
// Rule: gate and up lie side by side in one row, as one projection writes them.
#pragma once

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// gate_up[N,2F] (gate in columns [0,F), up in [F,2F)) -> act[N,F], overwritten.
void swiglu_forward(tensor::View<const float> gate_up, tensor::View<float> act);

/// In place, so that the widest activation is not held twice: gate_up[N,2F] becomes its gradient,
/// and dact[N,F] becomes act again (what the gradient of the projection behind needs).
void swiglu_backward(tensor::View<float> gate_up, tensor::View<float> dact);

/// On a GPU alone.
void swiglu_forward(tensor::View<const tensor::bf16> gate_up, tensor::View<tensor::bf16> act);
void swiglu_backward(tensor::View<tensor::bf16> gate_up, tensor::View<tensor::bf16> dact);

}  // namespace nativo::ops
