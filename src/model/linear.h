// The one place where a linear layer of the decoder is computed: dense or quantised weight, with or
// without LoRA adapters. Not for other folders. Rule: callers say what goes in and out; whether the
// weight is trained, frozen, quantised or adapted is known here alone. T is the type of the
// numbers, float or (on a GPU) bf16; all views lie on one device.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "ops/fp8.h"
#include "ops/gemm.h"
#include "ops/low_rank.h"
#include "ops/quantize.h"
#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::model {

/// A LoRA adapter of one projection, and its gradients.
template <class T>
struct LinearAdapter {
  ops::LowRankOf<T> low_rank;
  tensor::View<T> da;            ///< [r,I]; null until gradients are enabled
  tensor::View<T> db;            ///< [Oj,r]
  std::uint32_t number = 0;      ///< in the whole model: names its dropout mask
  std::int64_t first_input = 0;  ///< of tensor-parallel ranks: where A's columns begin in the whole
  std::int64_t inputs = 0;       ///< of the whole layer
};

/// y[N,O] = x[N,I] weight[O,I]^T + bias[O] + the adapters'. Either `weight` or `quantized` is
/// there.
template <class T>
struct Linear {
  tensor::View<T> weight;          ///< null when quantised
  ops::QuantizedMatrix quantized;  ///< frozen; no rows when the weight is dense
  tensor::View<T> bias;            ///< null when there is none
  std::vector<LinearAdapter<T>> adapters;

  [[nodiscard]] bool is_quantized() const { return quantized.rows > 0; }
};

/// Dropout of the adapters' inputs in this pass. The mask of a token belongs to its place (row,
/// position in the row) in the whole step, so that neither the cut into batches nor the padding
/// that comes with it changes it.
struct LinearDropout {
  double p = 0.0;  ///< 0 = none
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::int64_t first_row = 0;  ///< of this batch in the step
  std::int64_t rows = 1;       ///< B; a layer's input has B*T tokens
};

/// What computing needs besides the layer; all scratch is between calls without meaning.
template <class T>
struct LinearContext {
  LinearDropout dropout;
  tensor::View<T> panel;    ///< [quantized_linear_scratch of the largest layer]
  tensor::View<T> hidden;   ///< [N r]
  tensor::View<T> dropped;  ///< [N I] of the widest adapted layer, when there is dropout
  ops::Fp8Scratch fp8;      ///< null views: dense products are in T
};

template <class T>
void linear_forward(const Linear<T>& layer, const LinearContext<T>& context,
                    std::type_identity_t<tensor::View<const T>> x, tensor::View<T> y);

/// dx[N,I] = dy[N,O] d(y)/d(x) (overwrites).
template <class T>
void linear_backward_input(const Linear<T>& layer, const LinearContext<T>& context,
                           std::type_identity_t<tensor::View<const T>> dy, tensor::View<T> dx);

/// Where a layer's gradients go: as the weight and the bias; null when there is none or it is
/// frozen.
template <class T>
struct LinearGradient {
  tensor::View<T> weight;
  tensor::View<T> bias;
};

/// gradient.weight += dy^T x and gradient.bias += the sum of dy's rows, where not null; the
/// adapters' gradients +=.
template <class T>
void linear_backward_weight(const Linear<T>& layer, const LinearContext<T>& context,
                            std::type_identity_t<tensor::View<const T>> dy,
                            std::type_identity_t<tensor::View<const T>> x,
                            const LinearGradient<T>& gradient);

}  // namespace nativo::model
