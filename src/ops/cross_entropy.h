// The classifier's loss: softmax and cross-entropy over the vocabulary, fused with its gradient.
// Not here: the projection to logits, or the cutting into chunks (model/decoder.cc does both).
// Rule: a row is one thread's (a GPU's: one block's); the caller sums rows in order, in f64.
// Targets and results lie on the device of the logits.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// log_prob[n] = log softmax(logits[n,V])[targets[n]]; targets in [0, V).
/// argmax[n] is the first id with the greatest logit; may be empty when nobody asks.
void cross_entropy_forward(tensor::View<const float> logits, std::span<const std::int32_t> targets,
                           std::span<double> log_prob, std::span<std::int32_t> argmax);

/// The loss of a row whose gradient is taken: with lse = log(sum(exp(logits))) and e =
/// label_smoothing,
///   (1 - e) (lse - logits[target]) + e (lse - mean(logits)) + z_loss lse^2.
/// Sources: Szegedy et al., arXiv:1512.00567, as torch.nn.functional.cross_entropy has it;
/// Chowdhery et al., arXiv:2204.02311, section 5.
struct CrossEntropy {
  float scale = 1.0F;            ///< multiplies the gradient, not the loss
  double z_loss = 0.0;           ///< >= 0
  double label_smoothing = 0.0;  ///< in [0, 1)
};

/// The same log_prob; loss[n] as above (may be empty when nobody asks); logits become scale times
/// the loss's gradient, with neither addition scale (softmax(logits) - onehot(target)).
void cross_entropy_forward_backward(tensor::View<float> logits,
                                    std::span<const std::int32_t> targets,
                                    const CrossEntropy& options, std::span<double> log_prob,
                                    std::span<double> loss);

/// On a GPU alone; sums in f32 and the loss in f64, whatever the logits are.
void cross_entropy_forward(tensor::View<const tensor::bf16> logits,
                           std::span<const std::int32_t> targets, std::span<double> log_prob,
                           std::span<std::int32_t> argmax);
void cross_entropy_forward_backward(tensor::View<tensor::bf16> logits,
                                    std::span<const std::int32_t> targets,
                                    const CrossEntropy& options, std::span<double> log_prob,
                                    std::span<double> loss);

}  // namespace nativo::ops
