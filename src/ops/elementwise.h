// What acts on each element or each row alone: residual sums, gathering and scattering rows.
// Not here: norms, softmax, activations. Rule: shapes are equal or stated; nothing allocates.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/view.h"

namespace nativo::ops {

/// out = a + b, all of one shape; out may be a or b.
void add(tensor::View<const float> a, tensor::View<const float> b, tensor::View<float> out);

/// to[i] = from[rows[i]] for from[N,C], rows[n] in [0, N), to[n,C].
void gather_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                 tensor::View<float> to);

/// to[rows[i]] = from[i]; the other rows of to[N,C] become zero. `rows` must be distinct.
void scatter_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                  tensor::View<float> to);

}  // namespace nativo::ops
