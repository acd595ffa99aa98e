// Linear layers in f32 for inference, over a weight packed once. Not here: training (ops/gemm.h).
// Rule: each element is one sum over the inputs in their order, so that a row's result does not
// depend on the rows beside it; ops/gemm.h does not promise that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/int8_gemm.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Outputs that lie together in a packed weight.
inline constexpr std::int64_t kRowGemmPanel = 32;

/// A weight [O,I], packed as [O/32][I][32] with zeros behind O.
class RowWeight {
 public:
  RowWeight() = default;
  explicit RowWeight(tensor::View<const float> weight);

  [[nodiscard]] std::int64_t outputs() const { return outputs_; }
  [[nodiscard]] std::int64_t inputs() const { return inputs_; }
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(packed_.size() * sizeof(float));
  }
  /// The weight of these rows alone, in their order.
  [[nodiscard]] RowWeight select(std::span<const std::int32_t> rows) const;

  [[nodiscard]] const float* packed() const { return packed_.data(); }

 private:
  std::int64_t outputs_ = 0;
  std::int64_t inputs_ = 0;
  std::vector<float> packed_;
};

/// y[N,W] = epilogue(x[N,I] weight^T + bias) for the outputs [first, first + W) of `weight`
/// (overwrites). `first` must be a multiple of kRowGemmPanel. `bias` has O elements or none.
void row_linear(tensor::View<const float> x, const RowWeight& weight, std::span<const float> bias,
                Epilogue epilogue, std::int64_t first, tensor::View<float> y);

}  // namespace nativo::ops
