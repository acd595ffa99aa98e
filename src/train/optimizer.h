// AdamW over what is trained of a decoder, and its moments. The arithmetic is ops/adamw.h.
// Rule: the state is the moments alone; bias correction comes from the step's number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.h"

namespace nativo::train {

/// Decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101), with g the clipped gradient:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= lr * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * w)
struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.0;  ///< for parameters with `decays`
  double clip_norm = 0.0;     ///< gradients are scaled down to this global norm; 0 = never
};

/// Moments of one parameter, of its shape, f32.
struct Moments {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> first;   ///< m
  std::vector<float> second;  ///< v
};

class Optimizer {
 public:
  /// Allocates the moments, zeroed: 8 bytes a parameter. Throws Error(kTryAgain) when memory does
  /// not suffice.
  Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings);

  /// The norm of all gradients together, before clipping.
  [[nodiscard]] double gradient_norm(std::span<const model::Parameter> parameters) const;

  /// Update number `step` (from 1) of `parameters` (those of the constructor) with learning rate
  /// `lr`. `gradient_norm` is what gradient_norm() gave; finite.
  void update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
              double gradient_norm);

  [[nodiscard]] std::span<Moments> moments() { return moments_; }
  [[nodiscard]] std::span<const Moments> moments() const { return moments_; }

 private:
  AdamWSettings settings_;
  std::vector<Moments> moments_;
};

}  // namespace nativo::train
