#include "ops/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/ops_test_tools.h"
#include "ops/quantized_gemm.h"
#include "reference/linear.h"
#include "reference/quantize.h"

namespace nativo::ops {
namespace {

constexpr QuantFormat kFormats[] = {QuantFormat::kInt8, QuantFormat::kNf4};
constexpr ScaleFormat kScaleFormats[] = {ScaleFormat::kF32, ScaleFormat::kDouble};

/// A quantised matrix and its memory.
struct Owned {
  std::vector<std::uint8_t> codes, scale_codes;
  std::vector<float> scales, ranges;
  QuantizedMatrix matrix;

  Owned(QuantFormat format, ScaleFormat scale_format, std::int64_t rows, std::int64_t columns) {
    const QuantizedShapes shapes = quantized_shapes(format, scale_format, rows, columns);
    codes.resize(shapes.codes.elements(), 0xEE);
    scale_codes.resize(shapes.scale_codes.elements());
    scales.resize(shapes.scales.elements());
    ranges.resize(shapes.scale_ranges.elements());
    matrix = {format,
              scale_format,
              rows,
              columns,
              view(codes, shapes.codes),
              view(scales, shapes.scales),
              view(scale_codes, shapes.scale_codes),
              view(ranges, shapes.scale_ranges)};
  }

  std::vector<float> dequantized() const {
    std::vector<float> out(matrix.rows * matrix.columns, 9.0F);
    dequantize_rows(matrix, 0, view(out, {matrix.rows, matrix.columns}));
    return out;
  }
};

Owned quantized(const std::vector<double>& weight, QuantFormat format, ScaleFormat scales,
                std::int64_t rows, std::int64_t columns) {
  Owned owned(format, scales, rows, columns);
  const std::vector<float> w = to_f32(weight);
  quantize(view(w, {rows, columns}), owned.matrix);
  return owned;
}

TEST(Quantize, EachWeightTakesTheNearestLevelOfItsBlock) {
  for (const std::int64_t columns : {64, 1, 65, 200}) {
    const std::int64_t rows = 7;
    const auto weight = normal_numbers(rows * columns, 1, 0.02);
    for (const QuantFormat format : kFormats) {
      const Owned owned = quantized(weight, format, ScaleFormat::kF32, rows, columns);
      const std::vector<float> got = owned.dequantized();
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t first = 0; first < columns; first += kQuantBlock) {
          const std::int64_t count = std::min(kQuantBlock, columns - first);
          const std::span block(weight.data() + row * columns + first, count);
          const double scale = reference::absmax(block);
          const auto levels = format == QuantFormat::kInt8 ? reference::int8_levels(scale)
                                                           : reference::nf4_levels(scale);
          for (std::int64_t i = 0; i < count; ++i) {
            const double value = got[row * columns + first + i];
            const double best = reference::nearest(levels, block[i]);
            // f32 may see a tie where f64 does not: then both levels are equally far.
            EXPECT_LT(std::abs(value - block[i]), std::abs(best - block[i]) + 1e-6 * scale);
            EXPECT_NEAR(value, reference::nearest(levels, value), 1e-6 * scale);
          }
        }
      }
    }
  }
}

TEST(Quantize, ErrorsStayWithinTheStatedBounds) {
  const std::int64_t rows = 64;
  const std::int64_t columns = 640;
  // Rows of very different size, as trained weights have.
  auto weight = normal_numbers(rows * columns, 2);
  for (std::int64_t i = 0; i < rows * columns; ++i) weight[i] *= std::pow(1.1, i / columns);
  for (double& value : weight) value = static_cast<float>(value);
  for (const QuantFormat format : kFormats) {
    for (const ScaleFormat scales : kScaleFormats) {
      const std::vector<float> got = quantized(weight, format, scales, rows, columns).dequantized();
      const bool nf4 = format == QuantFormat::kNf4;
      for (std::int64_t first = 0; first < rows * columns; first += kQuantBlock) {
        const double scale = reference::absmax(std::span(weight).subspan(first, kQuantBlock));
        double bound = scale * (nf4 ? 0.152 : 1.0 / 254.0) * (1.0 + 1e-5);
        if (scales == ScaleFormat::kDouble) {
          const std::int64_t group = first / kQuantBlock / kScaleGroup * kScaleGroup * kQuantBlock;
          const std::int64_t size = std::min(kScaleGroup * kQuantBlock, rows * columns - group);
          double least = INFINITY;
          double greatest = 0.0;
          for (std::int64_t b = group; b < group + size; b += kQuantBlock) {
            const double other = reference::absmax(std::span(weight).subspan(b, kQuantBlock));
            least = std::min(least, other);
            greatest = std::max(greatest, other);
          }
          bound += 1.2 * (greatest - least) / 510.0;  // the level's own share of it
        }
        for (std::int64_t i = first; i < first + kQuantBlock; ++i) {
          ASSERT_LE(std::abs(got[i] - weight[i]), bound) << i;
        }
      }
      // Gaussian weights: what QLoRA's authors and everybody else measure for these formats.
      const double error = relative_error(got, weight);
      EXPECT_LT(error, nf4 ? 0.10 : 0.0075);
      EXPECT_GT(error, nf4 ? 0.08 : 0.004);
    }
  }
}

TEST(Quantize, WhatAFormatHoldsExactlyComesBackExactly) {
  for (const QuantFormat format : kFormats) {
    std::vector<double> weight;
    const auto levels =
        format == QuantFormat::kInt8 ? reference::int8_levels(127.0) : reference::nf4_levels(1.0);
    for (std::size_t i = 0; i < 64; ++i) {
      weight.push_back(static_cast<float>(levels[i * (levels.size() - 1) / 63]));
    }
    const std::vector<float> got =
        quantized(weight, format, ScaleFormat::kF32, 1, 64).dequantized();
    for (std::size_t i = 0; i < 64; ++i) EXPECT_FLOAT_EQ(got[i], static_cast<float>(weight[i]));
    // Zeros, and blocks too small to divide by, are zero and not NaN.
    for (const double tiny : {0.0, 1e-42}) {
      const std::vector<double> none(70, tiny);
      for (const ScaleFormat scales : kScaleFormats) {
        for (const float value : quantized(none, format, scales, 1, 70).dequantized()) {
          EXPECT_NEAR(value, 0.0, 1e-41);
        }
      }
    }
  }
}

TEST(Quantize, BytesAreWhatTheFormatsPromise) {
  const auto bits = [](QuantFormat format, ScaleFormat scales) {
    const std::int64_t bytes = quantized_shapes(format, scales, 4096, 4096).bytes();
    return static_cast<double>(bytes) * 8.0 / (4096.0 * 4096.0);
  };
  EXPECT_DOUBLE_EQ(bits(QuantFormat::kInt8, ScaleFormat::kF32), 8.5);
  EXPECT_DOUBLE_EQ(bits(QuantFormat::kNf4, ScaleFormat::kF32), 4.5);
  EXPECT_NEAR(bits(QuantFormat::kNf4, ScaleFormat::kDouble), 4.129, 1e-3);
}

TEST(Quantize, AWeightThatIsNotFiniteIsRefused) {
  for (const double bad : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    std::vector<double> weight(200, 0.5);
    weight[130] = bad;
    for (const ScaleFormat scales : kScaleFormats) {
      EXPECT_THROW(quantized(weight, QuantFormat::kNf4, scales, 2, 100), Error);
    }
  }
}

TEST(Quantize, AnyNumberOfThreadsGivesTheSameBits) {
  const auto weight = normal_numbers(130 * 300, 3);
  const std::vector<float> x = to_f32(normal_numbers(70 * 300, 4));
  std::vector<std::uint8_t> codes;
  std::vector<float> expected;
  on_threads([&](int threads) {
    const Owned owned = quantized(weight, QuantFormat::kNf4, ScaleFormat::kDouble, 130, 300);
    std::vector<float> y(70 * 130);
    std::vector<float> scratch(quantized_linear_scratch(130, 300));
    quantized_linear_forward(view(x, {70, 300}), owned.matrix,
                             view(scratch, {static_cast<std::int64_t>(scratch.size())}),
                             view(y, {70, 130}));
    if (threads == 1) {
      codes = owned.codes;
      expected = y;
    }
    EXPECT_TRUE(owned.codes == codes && y == expected) << threads << " threads";
  });
}

TEST(QuantizedGemm, AgreesWithTheReferenceOnDequantisedWeights) {
  struct Sizes {
    std::int64_t rows, outputs, inputs;
  };
  // One row; odd sizes; more than one panel, the last one shorter (rows of 20,000: panels of 64).
  for (const auto& [rows, outputs, inputs] :
       std::vector<Sizes>{{1, 37, 70}, {5, 65, 129}, {300, 131, 97}, {3, 150, 20000}}) {
    const auto weight = normal_numbers(outputs * inputs, 1);
    const auto x = normal_numbers(rows * inputs, 2);
    const auto dy = normal_numbers(rows * outputs, 3);
    const std::vector<float> xf = to_f32(x);
    const std::vector<float> dyf = to_f32(dy);
    const Shape in{rows, inputs};
    const Shape out{rows, outputs};
    for (const QuantFormat format : kFormats) {
      const Owned owned = quantized(weight, format, ScaleFormat::kDouble, outputs, inputs);
      const std::vector<float> wf = owned.dequantized();
      const std::vector<double> w(wf.begin(), wf.end());
      std::vector<float> scratch(quantized_linear_scratch(outputs, inputs), NAN);
      EXPECT_LE(quantized_linear_scratch(outputs, inputs), std::max(1 << 20, 64 * 20000));
      const View<float> panel = view(scratch, {static_cast<std::int64_t>(scratch.size())});

      std::vector<float> y(rows * outputs, 9.0F);
      quantized_linear_forward(view(xf, in), owned.matrix, panel, view(y, out));
      EXPECT_LT(relative_error(y, reference::linear(x, w, rows, outputs, inputs)), kF32Bound);

      auto expected = reference::linear_dx(dy, w, rows, outputs, inputs);
      std::vector<float> dx(rows * inputs, 9.0F);
      quantized_linear_backward_input(view(dyf, out), owned.matrix, panel, view(dx, in),
                                      Write::kOverwrite);
      EXPECT_LT(relative_error(dx, expected), kF32Bound);
      quantized_linear_backward_input(view(dyf, out), owned.matrix, panel, view(dx, in),
                                      Write::kAccumulate);
      for (double& value : expected) value *= 2.0;
      EXPECT_LT(relative_error(dx, expected), kF32Bound);
    }
  }
}

}  // namespace
}  // namespace nativo::ops
