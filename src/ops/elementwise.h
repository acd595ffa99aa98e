// What acts on each element or each row alone: residual sums, gathering and scattering rows.
// Not here: norms, softmax, activations. Rule: shapes are equal or stated; nothing allocates; ids
// lie on the device of the tensors.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// x = 0.
void set_zero(tensor::View<float> x);

/// out = a + b, all of one shape; out may be a or b.
void add(tensor::View<const float> a, tensor::View<const float> b, tensor::View<float> out);

/// to[N,Ct] = the first Ct columns of from[N,C], Ct <= C.
void copy_columns(tensor::View<const float> from, tensor::View<float> to);

/// x[N,C] += bias[C] in every row.
void add_bias(tensor::View<float> x, tensor::View<const float> bias);

/// dbias[C] += the sum of the rows of dy[N,C], in f64 and in their order.
void bias_backward(tensor::View<const float> dy, tensor::View<float> dbias);

/// to[i] = from[rows[i]] for from[N,C], rows[n] in [0, N), to[n,C].
void gather_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                 tensor::View<float> to);

/// to[rows[i]] = from[i]; the other rows of to[N,C] stay. `rows` must be distinct.
void scatter_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                  tensor::View<float> to);

/// to = from, rounded to nearest; both on one device.
void convert(tensor::View<const float> from, tensor::View<tensor::bf16> to);
void convert(tensor::View<const tensor::bf16> from, tensor::View<float> to);

/// All of these on a GPU alone; sums are in f32, rounded once.
void set_zero(tensor::View<tensor::bf16> x);
void add(tensor::View<const tensor::bf16> a, tensor::View<const tensor::bf16> b,
         tensor::View<tensor::bf16> out);
void copy_columns(tensor::View<const tensor::bf16> from, tensor::View<tensor::bf16> to);
void add_bias(tensor::View<tensor::bf16> x, tensor::View<const tensor::bf16> bias);
void bias_backward(tensor::View<const tensor::bf16> dy, tensor::View<tensor::bf16> dbias);
void gather_rows(tensor::View<const tensor::bf16> from, std::span<const std::int32_t> rows,
                 tensor::View<tensor::bf16> to);
void scatter_rows(tensor::View<const tensor::bf16> from, std::span<const std::int32_t> rows,
                  tensor::View<tensor::bf16> to);

}  // namespace nativo::ops
