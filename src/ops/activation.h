// Activations on each element, for inference. Not here: ReLU inside a linear layer (Epilogue) and
// SwiGLU in training (ops/swiglu.h).
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace nativo::ops {

/// Numbered as CTranslate2 numbers them.
enum class Activation : std::uint8_t {
  kRelu,         ///< max(x, 0)
  kGeluTanh,     ///< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kSwish,        ///< x / (1 + e^-x)
  kGelu,         ///< x/2 (1 + erf(x / sqrt 2))
  kGeluSigmoid,  ///< x / (1 + e^(-1.702 x))
  kTanh,
  kSigmoid,
};

/// x = activation(x).
void activate(Activation activation, tensor::View<float> x);

/// x *= y, element by element.
void multiply(tensor::View<float> x, tensor::View<const float> y);

}  // namespace nativo::ops
