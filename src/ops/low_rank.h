// LoRA's addition to a linear layer, y += scale x A^T B^T, and its gradients (Hu et al.,
// arXiv:2106.09685). Not here: dropout (ops/dropout.h), the frozen layer itself (ops/gemm.h).
// Rule: nothing of the size of the weight is ever made; the sums run through the rank.
#pragma once

#include "ops/gemm.h"

namespace nativo::ops {

/// One adapter. It may feed a part of the layer's outputs: columns [first_output, first_output +
/// Oj) of y, as q_proj does in a joined q/k/v product.
template <class T>
struct LowRankOf {
  tensor::View<const T> a;  ///< [r,I]
  tensor::View<const T> b;  ///< [Oj,r]
  std::int64_t first_output = 0;
  float scale = 1.0F;
};
using LowRank = LowRankOf<float>;

/// y[N, own columns] += scale x[N,I] A^T B^T. `hidden` [N,r] is scratch.
void low_rank_forward(tensor::View<const float> x, const LowRank& adapter,
                      tensor::View<float> hidden, tensor::View<float> y);

/// dx[N,I] = or += scale dy[N, own columns] B A. `dhidden` [N,r] is scratch.
void low_rank_backward_input(tensor::View<const float> dy, const LowRank& adapter,
                             tensor::View<float> dhidden, tensor::View<float> dx, Write write);

/// da[r,I] += scale B^T dy^T x and db[Oj,r] += scale dy^T x A^T. `hidden` [N,r] is scratch.
void low_rank_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                              const LowRank& adapter, tensor::View<float> hidden,
                              tensor::View<float> da, tensor::View<float> db);

/// On a GPU alone.
void low_rank_forward(tensor::View<const tensor::bf16> x, const LowRankOf<tensor::bf16>& adapter,
                      tensor::View<tensor::bf16> hidden, tensor::View<tensor::bf16> y);
void low_rank_backward_input(tensor::View<const tensor::bf16> dy,
                             const LowRankOf<tensor::bf16>& adapter,
                             tensor::View<tensor::bf16> dhidden, tensor::View<tensor::bf16> dx,
                             Write write);
void low_rank_backward_weight(tensor::View<const tensor::bf16> dy,
                              tensor::View<const tensor::bf16> x,
                              const LowRankOf<tensor::bf16>& adapter,
                              tensor::View<tensor::bf16> hidden, tensor::View<tensor::bf16> da,
                              tensor::View<tensor::bf16> db);

}  // namespace nativo::ops
