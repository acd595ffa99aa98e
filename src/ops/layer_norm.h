// Layer normalisation over the last dimension, for inference.
// y = (x - mean) * rstd * gamma + beta, rstd = 1 / sqrt(max(mean(x^2) - mean^2, 0) + eps). Source:
// Ba et al., arXiv:1607.06450; the form of the variance is CTranslate2's. Not here: RMSNorm
// (ops/rmsnorm.h). Rule: a row depends on nothing but itself.
#pragma once

#include "tensor/view.h"

namespace nativo::ops {

/// x[N,C], gamma[C], beta[C] -> y[N,C] (overwritten); y may be x.
void layer_norm_forward(tensor::View<const float> x, tensor::View<const float> gamma,
                        tensor::View<const float> beta, float eps, tensor::View<float> y);

}  // namespace nativo::ops
