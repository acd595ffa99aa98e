// The classifier's loss: softmax and cross-entropy over the vocabulary, fused with its gradient.
// Not here: the projection to logits, or the cutting into chunks (model/decoder.cc does both).
// Rule: a row is one thread's; the caller sums rows in order, in f64.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/view.h"

namespace nativo::ops {

/// log_prob[n] = log softmax(logits[n,V])[targets[n]]; targets in [0, V).
/// argmax[n] is the first id with the greatest logit; may be empty when nobody asks.
void cross_entropy_forward(tensor::View<const float> logits, std::span<const std::int32_t> targets,
                           std::span<double> log_prob, std::span<std::int32_t> argmax);

/// The same log_prob, and logits become their gradient: scale * (softmax(logits) - onehot(target)).
void cross_entropy_forward_backward(tensor::View<float> logits,
                                    std::span<const std::int32_t> targets, float scale,
                                    std::span<double> log_prob);

}  // namespace nativo::ops
