// Root-mean-square normalisation over the last dimension, as in Mistral and Llama.
// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps). Source: Zhang & Sennrich,
// arXiv:1910.07467. Rule: nothing here but the norm, alone or with the residual sum before it.
#pragma once

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// x[N,C], weight[C] -> y[N,C], rstd[N] (both overwritten). y may not alias x.
void rmsnorm_forward(tensor::View<const float> x, tensor::View<const float> weight, float eps,
                     tensor::View<float> y, tensor::View<float> rstd);

/// y[N,C] again from x and the saved rstd[N]: the same bits as rmsnorm_forward gave.
void rmsnorm_apply(tensor::View<const float> x, tensor::View<const float> weight,
                   tensor::View<const float> rstd, tensor::View<float> y);

/// sum[N,C] = a + b (may be one of them), and the norm of it: one pass on a GPU.
void add_rmsnorm_forward(tensor::View<const float> a, tensor::View<const float> b,
                         tensor::View<const float> weight, float eps, tensor::View<float> sum,
                         tensor::View<float> y, tensor::View<float> rstd);

/// Rows of the `partial` workspace that rmsnorm_backward needs for N rows.
[[nodiscard]] std::int64_t rmsnorm_partial_rows(std::int64_t rows,
                                                const tensor::Device& device = {});

/// dx[N,C] += and dweight[C] += for dy[N,C]; a null `dweight` is a frozen weight's, not computed.
/// `partial` [rmsnorm_partial_rows(N), C] is scratch.
void rmsnorm_backward(tensor::View<const float> dy, tensor::View<const float> x,
                      tensor::View<const float> weight, tensor::View<const float> rstd,
                      tensor::View<float> dx, tensor::View<float> dweight,
                      tensor::View<float> partial);

/// Some heads of each row: `count` of size D side by side, from head number `first` on.
struct HeadRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// Each head a norm of its own (Qwen 3): x[N,Wx], weight[D] -> y[N,Wy] in the same columns and
/// rstd[N,R] at [first, first + count) (overwritten).
void rmsnorm_heads_forward(tensor::View<const float> x, const HeadRange& heads,
                           tensor::View<const float> weight, float eps, tensor::View<float> y,
                           tensor::View<float> rstd);

/// In these columns dy[N,Wy] becomes the gradient of x, and dweight[D] += (not when null).
/// `partial` [rmsnorm_heads_partial_rows(N, count), D] is scratch.
[[nodiscard]] std::int64_t rmsnorm_heads_partial_rows(std::int64_t rows, std::int64_t heads,
                                                      const tensor::Device& device = {});
void rmsnorm_heads_backward(tensor::View<float> dy, tensor::View<const float> x,
                            const HeadRange& heads, tensor::View<const float> weight,
                            tensor::View<const float> rstd, tensor::View<float> dweight,
                            tensor::View<float> partial);

/// On a GPU alone: weights and their gradients are bf16, too; statistics stay f32.
void rmsnorm_forward(tensor::View<const tensor::bf16> x, tensor::View<const tensor::bf16> weight,
                     float eps, tensor::View<tensor::bf16> y, tensor::View<float> rstd);
void rmsnorm_apply(tensor::View<const tensor::bf16> x, tensor::View<const tensor::bf16> weight,
                   tensor::View<const float> rstd, tensor::View<tensor::bf16> y);
void add_rmsnorm_forward(tensor::View<const tensor::bf16> a, tensor::View<const tensor::bf16> b,
                         tensor::View<const tensor::bf16> weight, float eps,
                         tensor::View<tensor::bf16> sum, tensor::View<tensor::bf16> y,
                         tensor::View<float> rstd);
void rmsnorm_backward(tensor::View<const tensor::bf16> dy, tensor::View<const tensor::bf16> x,
                      tensor::View<const tensor::bf16> weight, tensor::View<const float> rstd,
                      tensor::View<tensor::bf16> dx, tensor::View<tensor::bf16> dweight,
                      tensor::View<float> partial);
void rmsnorm_heads_forward(tensor::View<const tensor::bf16> x, const HeadRange& heads,
                           tensor::View<const tensor::bf16> weight, float eps,
                           tensor::View<tensor::bf16> y, tensor::View<float> rstd);
void rmsnorm_heads_backward(tensor::View<tensor::bf16> dy, tensor::View<const tensor::bf16> x,
                            const HeadRange& heads, tensor::View<const tensor::bf16> weight,
                            tensor::View<const float> rstd, tensor::View<tensor::bf16> dweight,
                            tensor::View<float> partial);

}  // namespace nativo::ops
