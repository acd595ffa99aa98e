// The one place where a linear layer of the decoder is computed: dense or quantised weight, with or
// without LoRA adapters. Not for other folders. Rule: callers say what goes in and out; whether the
// weight is trained, frozen, quantised or adapted is known here alone.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/gemm.h"
#include "ops/low_rank.h"
#include "ops/quantize.h"
#include "tensor/view.h"

namespace nativo::model {

/// A LoRA adapter of one projection, and its gradients.
struct LinearAdapter {
  ops::LowRank low_rank;
  tensor::View<float> da;        ///< [r,I]; null until gradients are enabled
  tensor::View<float> db;        ///< [Oj,r]
  std::uint32_t number = 0;      ///< in the whole model: names its dropout mask
  std::int64_t first_input = 0;  ///< of tensor-parallel ranks: where A's columns begin in the whole
  std::int64_t inputs = 0;       ///< of the whole layer
};

/// y[N,O] = x[N,I] weight[O,I]^T + bias[O] + the adapters'. Either `weight` or `quantized` is
/// there.
struct Linear {
  tensor::View<float> weight;      ///< null when quantised
  ops::QuantizedMatrix quantized;  ///< frozen; no rows when the weight is dense
  tensor::View<float> bias;        ///< null when there is none
  std::vector<LinearAdapter> adapters;

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
struct LinearContext {
  LinearDropout dropout;
  tensor::View<float> panel;    ///< [quantized_linear_scratch of the largest layer]
  tensor::View<float> hidden;   ///< [N r]
  tensor::View<float> dropped;  ///< [N I] of the widest adapted layer, when there is dropout
};

void linear_forward(const Linear& layer, const LinearContext& context, tensor::View<const float> x,
                    tensor::View<float> y);

/// dx[N,I] = dy[N,O] d(y)/d(x) (overwrites).
void linear_backward_input(const Linear& layer, const LinearContext& context,
                           tensor::View<const float> dy, tensor::View<float> dx);

/// Where a layer's gradients go: as the weight and the bias; null when there is none or it is
/// frozen.
struct LinearGradient {
  tensor::View<float> weight;
  tensor::View<float> bias;
};

/// gradient.weight += dy^T x and gradient.bias += the sum of dy's rows, where not null; the
/// adapters' gradients +=.
void linear_backward_weight(const Linear& layer, const LinearContext& context,
                            tensor::View<const float> dy, tensor::View<const float> x,
                            const LinearGradient& gradient);

}  // namespace nativo::model
