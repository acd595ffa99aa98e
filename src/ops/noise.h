// Uniform noise that is a function of a key and an element's number, as ops/dropout.h's masks are.
// Rule: the bits depend on no order, no thread and no micro-batch.
#pragma once

#include "ops/random_key.h"
#include "tensor/view.h"

namespace nativo::ops {

/// x[N,C] += magnitude u, u uniform in (-1, 1), 24 bits, one number an element.
void add_uniform_noise(tensor::View<float> x, const RandomKey& key, float magnitude);

}  // namespace nativo::ops
