// Dropout whose mask is a function of a key and an element's number: nothing is stored, and the
// backward pass makes the same mask again. Rule: the bits depend on no order, no thread and no
// micro-batch.
#pragma once

#include "ops/random_key.h"
#include "tensor/view.h"

namespace nativo::ops {

/// out[N,I] = x[N,I] / (1 - p) where the mask keeps, else 0 (overwrites; out may be x). An element
/// is dropped with probability round(65536 p) / 65536; 0 <= p < 1.
void dropout(tensor::View<const float> x, const RandomKey& key, double p, tensor::View<float> out);

/// sum[N,I] += x[N,I] / (1 - p) where the mask of the same key keeps.
void dropout_add(tensor::View<const float> x, const RandomKey& key, double p,
                 tensor::View<float> sum);

}  // namespace nativo::ops
