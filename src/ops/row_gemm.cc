// Packs weights, checks shapes and cuts the outputs into panels. See the header.
#include "ops/row_gemm.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel_work.h"
#include "ops/row_gemm_cpu.h"

namespace nativo::ops {
namespace {

std::size_t packed_index(std::int64_t inputs, std::int64_t o, std::int64_t i) {
  return static_cast<std::size_t>((o / kRowGemmPanel * inputs + i) * kRowGemmPanel +
                                  o % kRowGemmPanel);
}

std::size_t packed_size(std::int64_t outputs, std::int64_t inputs) {
  return static_cast<std::size_t>((outputs + kRowGemmPanel - 1) / kRowGemmPanel * kRowGemmPanel *
                                  inputs);
}

}  // namespace

RowWeight::RowWeight(tensor::View<const float> weight)
    : outputs_(weight.size(0)), inputs_(weight.size(1)) {
  NATIVO_CHECK(weight.shape().rank() == 2, "a weight is a matrix");
  packed_.resize(packed_size(outputs_, inputs_));
  for (std::int64_t o = 0; o < outputs_; ++o) {
    for (std::int64_t i = 0; i < inputs_; ++i) {
      packed_[packed_index(inputs_, o, i)] = weight.data()[o * inputs_ + i];
    }
  }
}

RowWeight RowWeight::select(std::span<const std::int32_t> rows) const {
  RowWeight part;
  part.outputs_ = static_cast<std::int64_t>(rows.size());
  part.inputs_ = inputs_;
  part.packed_.resize(packed_size(part.outputs_, inputs_));
  for (std::size_t o = 0; o < rows.size(); ++o) {
    NATIVO_CHECK(rows[o] >= 0 && rows[o] < outputs_, "a row of the weight");
    for (std::int64_t i = 0; i < inputs_; ++i) {
      part.packed_[packed_index(inputs_, static_cast<std::int64_t>(o), i)] =
          packed_[packed_index(inputs_, rows[o], i)];
    }
  }
  return part;
}

void row_linear(tensor::View<const float> x, const RowWeight& weight, std::span<const float> bias,
                Epilogue epilogue, std::int64_t first, tensor::View<float> y) {
  NATIVO_CHECK(x.shape().rank() == 2 && y.shape().rank() == 2 && x.size(0) == y.size(0),
               "row_linear takes matrices of as many rows");
  NATIVO_CHECK(x.size(1) == weight.inputs(), "row_linear: inputs differ");
  NATIVO_CHECK(first >= 0 && first % kRowGemmPanel == 0 && first + y.size(1) <= weight.outputs(),
               "row_linear: outputs outside the weight");
  NATIVO_CHECK(bias.empty() || static_cast<std::int64_t>(bias.size()) == weight.outputs(),
               "row_linear: bias differs");
  const std::int64_t width = y.size(1);
  // Some 40 multiplications a nanosecond.
  parallel_work(static_cast<std::size_t>((width + kRowGemmPanel - 1) / kRowGemmPanel),
                static_cast<double>(x.elements() * width) / 40.0, [&](std::size_t item) {
                  const std::int64_t column = static_cast<std::int64_t>(item) * kRowGemmPanel;
                  cpu::row_block({x.data(), x.size(0), x.size(1),
                                  weight.packed() + (first + column) * weight.inputs(),
                                  bias.empty() ? nullptr : bias.data() + first + column,
                                  epilogue == Epilogue::kRelu, y.data() + column, width,
                                  std::min(kRowGemmPanel, width - column)});
                });
}

}  // namespace nativo::ops
