// Rows of a table by token id, and their gradient.
// Rule: the gradient of a row is summed in the order of the tokens. Tokens lie on the device of the
// tensors.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// y[N,C] = table[tokens[N], C]; tokens in [0, V).
void embedding_forward(tensor::View<const float> table, std::span<const std::int32_t> tokens,
                       tensor::View<float> y);

/// dtable[V,C] += the rows of dy[N,C] with that token.
void embedding_backward(tensor::View<const float> dy, std::span<const std::int32_t> tokens,
                        tensor::View<float> dtable);

/// On a GPU alone; dtable's rows are summed in f32 and rounded once.
void embedding_forward(tensor::View<const tensor::bf16> table, std::span<const std::int32_t> tokens,
                       tensor::View<tensor::bf16> y);
void embedding_backward(tensor::View<const tensor::bf16> dy, std::span<const std::int32_t> tokens,
                        tensor::View<tensor::bf16> dtable);

}  // namespace nativo::ops
