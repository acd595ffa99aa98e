// A frozen linear layer, packed for inference in f32 or in 8-bit integers behind one form.
// Not here: layers that are trained (model/linear.h). Rule: a row's result does not depend on the
// rows beside it.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "ops/int8_gemm.h"
#include "ops/row_gemm.h"
#include "tensor/view.h"

namespace nativo::model {

/// Quantised activations of the last call; one a thread.
struct InferenceScratch {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};

class InferenceLinear {
 public:
  InferenceLinear() = default;
  /// `bias` has O elements or none.
  InferenceLinear(ops::RowWeight weight, std::vector<float> bias);
  InferenceLinear(ops::Int8Weight weight, ops::Int8Rounding rounding, std::vector<float> bias);

  [[nodiscard]] std::int64_t outputs() const;
  [[nodiscard]] std::int64_t inputs() const;
  [[nodiscard]] std::int64_t bytes() const;

  /// y[N,O] = epilogue(x[N,I] W^T + bias) (overwrites).
  void forward(tensor::View<const float> x, ops::Epilogue epilogue, InferenceScratch& scratch,
               tensor::View<float> y) const;

  /// The same in two steps, for many blocks of outputs from one x: prepare() once, then
  /// forward_outputs() for each block from any thread: y = the rows of x from `row` on, the outputs
  /// from `first` on, a multiple of kOutputBlock.
  void prepare(tensor::View<const float> x, InferenceScratch& scratch) const;
  void forward_outputs(tensor::View<const float> x, const InferenceScratch& scratch,
                       std::int64_t row, std::int64_t first, tensor::View<float> y) const;

  /// The layer with these outputs alone, in their order.
  [[nodiscard]] InferenceLinear select(std::span<const std::int32_t> outputs) const;

  /// A multiple of what both kernels compute together.
  static constexpr std::int64_t kOutputBlock = 768;

 private:
  void run(tensor::View<const float> x, const InferenceScratch& scratch, ops::Epilogue epilogue,
           std::int64_t row, std::int64_t first, tensor::View<float> y) const;

  std::variant<ops::RowWeight, ops::Int8Weight> weight_;
  ops::Int8Rounding rounding_ = ops::Int8Rounding::kNearest;
  std::vector<float> bias_;
};

}  // namespace nativo::model
