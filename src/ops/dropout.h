// Dropout whose mask is a function of a key and an element's number: nothing is stored, and the
// backward pass makes the same mask again. Rule: the bits depend on no order, no thread and no
// micro-batch.
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace nativo::ops {

/// Names the mask of one tensor at one step. Element i of a call has the number first_element + i,
/// so that a batch computed in parts meets the mask of the whole.
struct DropoutKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t tensor = 0;
  std::uint64_t first_element = 0;
};

/// out[N,I] = x[N,I] / (1 - p) where the mask keeps, else 0 (overwrites; out may be x). An element
/// is dropped with probability round(65536 p) / 65536; 0 <= p < 1.
void dropout(tensor::View<const float> x, const DropoutKey& key, double p, tensor::View<float> out);

/// sum[N,I] += x[N,I] / (1 - p) where the mask of the same key keeps.
void dropout_add(tensor::View<const float> x, const DropoutKey& key, double p,
                 tensor::View<float> sum);

}  // namespace nativo::ops
