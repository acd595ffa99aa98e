#include "model/inference_linear.h"

#include "base/error.h"

namespace nativo::model {

static_assert(InferenceLinear::kOutputBlock % ops::kInt8Block == 0);
static_assert(InferenceLinear::kOutputBlock % ops::kRowGemmPanel == 0);

InferenceLinear::InferenceLinear(ops::RowWeight weight, std::vector<float> bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {}

InferenceLinear::InferenceLinear(ops::Int8Weight weight, ops::Int8Rounding rounding,
                                 std::vector<float> bias)
    : weight_(std::move(weight)), rounding_(rounding), bias_(std::move(bias)) {}

std::int64_t InferenceLinear::outputs() const {
  return std::visit([](const auto& weight) { return weight.outputs(); }, weight_);
}

std::int64_t InferenceLinear::inputs() const {
  return std::visit([](const auto& weight) { return weight.inputs(); }, weight_);
}

std::int64_t InferenceLinear::bytes() const {
  return std::visit([](const auto& weight) { return weight.bytes(); }, weight_) +
         static_cast<std::int64_t>(bias_.size() * sizeof(float));
}

void InferenceLinear::prepare(tensor::View<const float> x, InferenceScratch& scratch) const {
  if (!std::holds_alternative<ops::Int8Weight>(weight_)) return;
  const std::int64_t rows = x.size(0);
  const std::int64_t stride = ops::int8_row_bytes(x.size(1));
  scratch.codes.resize(static_cast<std::size_t>(rows * stride));
  scratch.scales.resize(static_cast<std::size_t>(rows));
  ops::quantize_activations(x, rounding_, {scratch.codes.data(), {rows, stride}},
                            {scratch.scales.data(), {rows}});
}

void InferenceLinear::run(tensor::View<const float> x, const InferenceScratch& scratch,
                          ops::Epilogue epilogue, std::int64_t row, std::int64_t first,
                          tensor::View<float> y) const {
  const std::int64_t rows = y.size(0);
  const std::int64_t inputs = x.size(1);
  NATIVO_CHECK(row >= 0 && row + rows <= x.size(0), "rows of x");
  if (const auto* weight = std::get_if<ops::RowWeight>(&weight_)) {
    ops::row_linear({x.data() + row * inputs, {rows, inputs}}, *weight, bias_, epilogue, first, y);
    return;
  }
  const std::int64_t stride = ops::int8_row_bytes(inputs);
  ops::int8_linear({scratch.codes.data() + row * stride, {rows, stride}},
                   {scratch.scales.data() + row, {rows}}, std::get<ops::Int8Weight>(weight_), bias_,
                   epilogue, first, y);
}

void InferenceLinear::forward(tensor::View<const float> x, ops::Epilogue epilogue,
                              InferenceScratch& scratch, tensor::View<float> y) const {
  prepare(x, scratch);
  NATIVO_CHECK(y.size(0) == x.size(0), "a result a row");
  run(x, scratch, epilogue, 0, 0, y);
}

void InferenceLinear::forward_outputs(tensor::View<const float> x, const InferenceScratch& scratch,
                                      std::int64_t row, std::int64_t first,
                                      tensor::View<float> y) const {
  run(x, scratch, ops::Epilogue::kNone, row, first, y);
}

InferenceLinear InferenceLinear::select(std::span<const std::int32_t> outputs) const {
  InferenceLinear part;
  part.rounding_ = rounding_;
  std::visit([&](const auto& weight) { part.weight_ = weight.select(outputs); }, weight_);
  if (!bias_.empty()) {
    for (const std::int32_t output : outputs) {
      part.bias_.push_back(bias_[static_cast<std::size_t>(output)]);
    }
  }
  return part;
}

}  // namespace nativo::model
