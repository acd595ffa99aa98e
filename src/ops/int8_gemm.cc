// Packs weights, checks shapes and cuts the outputs into blocks. See the header.
#include "ops/int8_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/huge_pages.h"
#include "base/parallel_work.h"
#include "ops/int8_gemm_cpu.h"

namespace nativo::ops {
namespace {

constexpr std::int64_t kMaxInputs = 1 << 16;  // 255 * 128 * 2^16 stays below 2^31

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// Where input i of output o lies.
std::int64_t packed_index(Int8Layout layout, std::int64_t inputs, std::int64_t o, std::int64_t i) {
  if (layout == Int8Layout::kPlain) return o * int8_row_bytes(inputs) + i;
  const std::int64_t groups = round_up(inputs, cpu::kVnniInputs) / cpu::kVnniInputs;
  return ((o / cpu::kVnniOutputs * groups + i / cpu::kVnniInputs) * cpu::kVnniOutputs +
          o % cpu::kVnniOutputs) *
             cpu::kVnniInputs +
         i % cpu::kVnniInputs;
}

std::int64_t packed_size(Int8Layout layout, std::int64_t outputs, std::int64_t inputs) {
  if (layout == Int8Layout::kPlain) return outputs * int8_row_bytes(inputs);
  return round_up(outputs, kInt8Block) * round_up(inputs, cpu::kVnniInputs);
}

}  // namespace

std::int64_t int8_row_bytes(std::int64_t inputs) { return round_up(inputs, 64); }

Int8Layout best_int8_layout() { return cpu::has_vnni() ? Int8Layout::kVnni : Int8Layout::kPlain; }

Int8Weight::Int8Weight(tensor::View<const std::int8_t> values, std::span<const float> scales,
                       Int8Layout layout)
    : layout_(layout), outputs_(values.size(0)), inputs_(values.size(1)) {
  NATIVO_CHECK(values.shape().rank() == 2 && inputs_ <= kMaxInputs, "an int8 weight is a matrix");
  NATIVO_CHECK(static_cast<std::int64_t>(scales.size()) == outputs_, "a scale an output");
  const auto size = static_cast<std::size_t>(packed_size(layout_, outputs_, inputs_));
  packed_.reserve(size);
  prefer_huge_pages(packed_.data(), size);
  packed_.resize(size);
  scales_.assign(static_cast<std::size_t>(round_up(outputs_, kInt8Block)), 1.0F);
  std::copy(scales.begin(), scales.end(), scales_.begin());
  moderate_ = std::all_of(scales_.begin(), scales_.end(), moderate_scale);
  shifts_.assign(scales_.size(), 0);
  for (std::int64_t o = 0; o < outputs_; ++o) {
    std::int32_t sum = 0;
    for (std::int64_t i = 0; i < inputs_; ++i) {
      const std::int8_t value = values.data()[o * inputs_ + i];
      sum += value;
      packed_[static_cast<std::size_t>(packed_index(layout_, inputs_, o, i))] = value;
    }
    shifts_[static_cast<std::size_t>(o)] = 128 * sum;
  }
}

std::int64_t Int8Weight::bytes() const {
  return static_cast<std::int64_t>(packed_.size() + scales_.size() * sizeof(float) +
                                   shifts_.size() * sizeof(std::int32_t));
}

Int8Weight Int8Weight::select(std::span<const std::int32_t> rows) const {
  Int8Weight part;
  part.layout_ = layout_;
  part.outputs_ = static_cast<std::int64_t>(rows.size());
  part.inputs_ = inputs_;
  part.moderate_ = moderate_;
  part.packed_.resize(static_cast<std::size_t>(packed_size(layout_, part.outputs_, inputs_)));
  part.scales_.assign(static_cast<std::size_t>(round_up(part.outputs_, kInt8Block)), 1.0F);
  part.shifts_.assign(part.scales_.size(), 0);
  const std::int64_t together = layout_ == Int8Layout::kPlain ? inputs_ : cpu::kVnniInputs;
  for (std::size_t o = 0; o < rows.size(); ++o) {
    const std::int64_t row = rows[o];
    NATIVO_CHECK(row >= 0 && row < outputs_, "a row of the weight");
    for (std::int64_t i = 0; i < inputs_; i += together) {
      std::memcpy(
          part.packed_.data() + packed_index(layout_, inputs_, static_cast<std::int64_t>(o), i),
          packed_.data() + packed_index(layout_, inputs_, row, i),
          static_cast<std::size_t>(together));
    }
    part.scales_[o] = scales_[static_cast<std::size_t>(row)];
    part.shifts_[o] = shifts_[static_cast<std::size_t>(row)];
  }
  return part;
}

void quantize_activations(tensor::View<const float> x, Int8Rounding rounding,
                          tensor::View<std::uint8_t> codes, tensor::View<float> scales) {
  NATIVO_CHECK(x.shape().rank() == 2 && codes.shape().rank() == 2 && scales.shape().rank() == 1,
               "activations are a matrix");
  NATIVO_CHECK(codes.size(0) == x.size(0) && scales.size(0) == x.size(0) &&
                   codes.size(1) == int8_row_bytes(x.size(1)),
               "quantised activations have another shape");
  constexpr std::int64_t kRows = 16;
  const std::int64_t rows = x.size(0);
  parallel_work(static_cast<std::size_t>((rows + kRows - 1) / kRows),
                static_cast<double>(x.elements()) / 4.0, [&](std::size_t item) {
                  const std::int64_t first = static_cast<std::int64_t>(item) * kRows;
                  cpu::quantize_activations(
                      x.data() + first * x.size(1), std::min(kRows, rows - first), x.size(1),
                      rounding, codes.data() + first * codes.size(1), scales.data() + first);
                });
}

void quantize_weight(tensor::View<const float> weight, Int8Rounding rounding,
                     tensor::View<std::int8_t> values, std::span<float> scales) {
  NATIVO_CHECK(weight.shape().rank() == 2 && values.shape() == weight.shape() &&
                   static_cast<std::int64_t>(scales.size()) == weight.size(0),
               "a quantised weight has another shape");
  const std::int64_t inputs = weight.size(1);
  parallel_for(scales.size(), [&](std::size_t row) {
    const float* from = weight.data() + static_cast<std::int64_t>(row) * inputs;
    std::int8_t* to = values.data() + static_cast<std::int64_t>(row) * inputs;
    float most = 0.0F;
    for (std::int64_t i = 0; i < inputs; ++i) most = std::max(most, std::fabs(from[i]));
    // The scale of a row of numbers below 127 / FLT_MAX would be infinite.
    const float scale = most != 0.0F ? std::min(127.0F / most, 3.4e38F) : 1.0F;
    scales[row] = scale;
    for (std::int64_t i = 0; i < inputs; ++i) {
      const float value = from[i] * scale;
      to[i] = static_cast<std::int8_t>(rounding == Int8Rounding::kNearest ? std::nearbyint(value)
                                                                          : value);
    }
  });
}

void int8_linear(tensor::View<const std::uint8_t> codes, tensor::View<const float> scales,
                 const Int8Weight& weight, std::span<const float> bias, Epilogue epilogue,
                 std::int64_t first, tensor::View<float> y) {
  NATIVO_CHECK(codes.shape().rank() == 2 && y.shape().rank() == 2 && scales.shape().rank() == 1,
               "int8_linear takes matrices");
  NATIVO_CHECK(codes.size(0) == y.size(0) && scales.size(0) == y.size(0), "int8_linear: rows");
  NATIVO_CHECK(codes.size(1) == int8_row_bytes(weight.inputs()), "int8_linear: inputs differ");
  NATIVO_CHECK(first >= 0 && first % kInt8Block == 0 && first + y.size(1) <= weight.outputs(),
               "int8_linear: outputs outside the weight");
  NATIVO_CHECK(bias.empty() || static_cast<std::int64_t>(bias.size()) == weight.outputs(),
               "int8_linear: bias differs");
  const std::int64_t width = y.size(1);
  const bool vnni = weight.layout() == Int8Layout::kVnni;
  // Some 200 multiplications a nanosecond.
  parallel_work(static_cast<std::size_t>((width + kInt8Block - 1) / kInt8Block),
                static_cast<double>(codes.elements() * width) / 200.0, [&](std::size_t item) {
                  const std::int64_t column = static_cast<std::int64_t>(item) * kInt8Block;
                  const cpu::Int8Block block = {codes.data(),
                                                codes.size(1),
                                                scales.data(),
                                                y.size(0),
                                                &weight,
                                                first + column,
                                                std::min(kInt8Block, width - column),
                                                bias.empty() ? nullptr : bias.data(),
                                                epilogue == Epilogue::kRelu,
                                                y.data() + column,
                                                width};
                  vnni ? cpu::int8_block_vnni(block) : cpu::int8_block_plain(block);
                });
}

}  // namespace nativo::ops
