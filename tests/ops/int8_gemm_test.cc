#include "ops/int8_gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "ops/ops_test_tools.h"
#include "reference/int8_linear.h"

namespace nativo::ops {
namespace {

struct Sizes {
  std::size_t rows, outputs, inputs;
};

/// One row; sizes below, at and beyond a block, a vector and a group of four.
const std::vector<Sizes> kSizes{{1, 1, 1},    {1, 48, 64},    {3, 17, 5},   {8, 96, 512},
                                {13, 50, 67}, {21, 130, 130}, {5, 33, 2048}};

std::int64_t size(std::size_t value) { return static_cast<std::int64_t>(value); }

std::vector<Int8Layout> layouts() {
  if (best_int8_layout() == Int8Layout::kPlain) return {Int8Layout::kPlain};
  return {Int8Layout::kPlain, Int8Layout::kVnni};
}

struct Case {
  std::vector<float> x;
  std::vector<std::int8_t> values;
  std::vector<float> scales;
  std::vector<float> bias;
};

Case random_case(const Sizes& sizes) {
  Case c;
  c.x = to_f32(normal_numbers(sizes.rows * sizes.inputs, 1));
  const auto w = to_f32(normal_numbers(sizes.outputs * sizes.inputs, 2));
  c.values.resize(w.size());
  c.scales.resize(sizes.outputs);
  quantize_weight(view(w, {size(sizes.outputs), size(sizes.inputs)}), Int8Rounding::kNearest,
                  view(c.values, {size(sizes.outputs), size(sizes.inputs)}), c.scales);
  c.bias = to_f32(normal_numbers(sizes.outputs, 3));
  return c;
}

Int8Weight pack(const Case& c, const Sizes& sizes, Int8Layout layout) {
  return {View<const std::int8_t>(c.values.data(), {size(sizes.outputs), size(sizes.inputs)}),
          c.scales, layout};
}

struct Codes {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};

Codes quantized(const std::vector<float>& x, const Sizes& sizes, Int8Rounding rounding) {
  Codes result;
  result.codes.assign(sizes.rows * static_cast<std::size_t>(int8_row_bytes(size(sizes.inputs))), 9);
  result.scales.assign(sizes.rows, 9.0F);
  quantize_activations(view(x, {size(sizes.rows), size(sizes.inputs)}), rounding,
                       view(result.codes, {size(sizes.rows), int8_row_bytes(size(sizes.inputs))}),
                       view(result.scales, {size(sizes.rows)}));
  return result;
}

std::vector<float> linear(const Codes& x, const Int8Weight& weight, const std::vector<float>& bias,
                          Epilogue epilogue, std::int64_t first, std::int64_t width) {
  const auto rows = size(x.scales.size());
  std::vector<float> y(static_cast<std::size_t>(rows * width), 9.0F);
  int8_linear(View<const std::uint8_t>(x.codes.data(), {rows, int8_row_bytes(weight.inputs())}),
              View<const float>(x.scales.data(), {rows}), weight, bias, epilogue, first,
              view(y, {rows, width}));
  return y;
}

TEST(Int8Gemm, ActivationsAreTheReferencesCodesOnEveryInstructionSet) {
  for (const Sizes& sizes : kSizes) {
    const Case c = random_case(sizes);
    for (const auto rounding : {Int8Rounding::kNearest, Int8Rounding::kTruncate}) {
      const auto expected = reference::quantize_rows(c.x, sizes.rows, sizes.inputs,
                                                     rounding == Int8Rounding::kNearest);
      on_instruction_sets([&](const char* name) {
        // The others that this machine counts have no kernel of their own and fall back to one
        // without fused multiply-add, which rounds twice.
        if (std::string(name) != "AVX2" && std::string(name) != "AVX3") return;
        const Codes codes = quantized(c.x, sizes, rounding);
        EXPECT_EQ(codes.scales, expected.scales);
        const auto stride = static_cast<std::size_t>(int8_row_bytes(size(sizes.inputs)));
        for (std::size_t n = 0; n < sizes.rows; ++n) {
          for (std::size_t i = 0; i < stride; ++i) {
            const int code = i < sizes.inputs ? expected.codes[n * sizes.inputs + i] : 0;
            ASSERT_EQ(codes.codes[n * stride + i], code) << name << ' ' << n << ' ' << i;
          }
        }
      });
    }
  }
}

TEST(Int8Gemm, IsTheExactReferenceInEveryLayoutOnEveryInstructionSet) {
  for (const Sizes& sizes : kSizes) {
    const Case c = random_case(sizes);
    const Codes codes = quantized(c.x, sizes, Int8Rounding::kNearest);
    const auto exact = reference::quantize_rows(c.x, sizes.rows, sizes.inputs, true);
    for (const bool relu : {false, true}) {
      for (const auto& bias : {c.bias, std::vector<float>()}) {
        const auto expected =
            reference::int8_linear(exact, c.values, c.scales, bias, relu, sizes.inputs);
        for (const Int8Layout layout : layouts()) {
          const Int8Weight weight = pack(c, sizes, layout);
          on_instruction_sets([&](const char* name) {
            EXPECT_EQ(linear(codes, weight, bias, relu ? Epilogue::kRelu : Epilogue::kNone, 0,
                             size(sizes.outputs)),
                      expected)
                << name;
          });
        }
      }
    }
  }
}

TEST(Int8Gemm, QuotientsAreCorrectlyRoundedForAnyScale) {
  const Sizes sizes{64, 96, 16};
  Case c = random_case(sizes);
  const auto wild = normal_numbers(sizes.outputs, 4);
  // Any mantissa; then, in one case, magnitudes at which a quotient is no normal number.
  for (std::size_t o = 0; o < sizes.outputs; ++o)
    c.scales[o] *= static_cast<float>(1.0 + std::abs(wild[o]));
  for (const bool extreme : {false, true}) {
    if (extreme) {
      c.scales[5] = 1e-38F;
      c.scales[6] = 3e38F;
      for (std::size_t i = 0; i < sizes.inputs; ++i) c.x[sizes.inputs + i] *= 1e30F;
    }
    const Codes codes = quantized(c.x, sizes, Int8Rounding::kNearest);
    const auto exact = reference::quantize_rows(c.x, sizes.rows, sizes.inputs, true);
    const auto expected =
        reference::int8_linear(exact, c.values, c.scales, {}, false, sizes.inputs);
    for (const Int8Layout layout : layouts()) {
      const Int8Weight weight = pack(c, sizes, layout);
      EXPECT_EQ(weight.moderate(), !extreme);
      EXPECT_EQ(linear(codes, weight, {}, Epilogue::kNone, 0, size(sizes.outputs)), expected);
    }
  }
}

TEST(Int8Gemm, ARowAndABlockAloneAreTheSame) {
  const Sizes sizes{21, 130, 130};
  const Case c = random_case(sizes);
  const Codes codes = quantized(c.x, sizes, Int8Rounding::kNearest);
  for (const Int8Layout layout : layouts()) {
    const Int8Weight weight = pack(c, sizes, layout);
    const auto whole = linear(codes, weight, c.bias, Epilogue::kNone, 0, 130);
    on_threads(
        [&](int) { EXPECT_EQ(linear(codes, weight, c.bias, Epilogue::kNone, 0, 130), whole); });
    const auto part = linear(codes, weight, c.bias, Epilogue::kNone, 96, 34);
    for (std::size_t n = 0; n < sizes.rows; ++n) {
      for (std::size_t j = 0; j < 34; ++j) ASSERT_EQ(part[n * 34 + j], whole[n * 130 + 96 + j]);
      const std::vector<float> row(c.x.begin() + static_cast<std::ptrdiff_t>(n * 130),
                                   c.x.begin() + static_cast<std::ptrdiff_t>((n + 1) * 130));
      const auto alone = linear(quantized(row, {1, 130, 130}, Int8Rounding::kNearest), weight,
                                c.bias, Epilogue::kNone, 0, 130);
      for (std::size_t j = 0; j < 130; ++j) ASSERT_EQ(alone[j], whole[n * 130 + j]);
    }
    const std::vector<std::int32_t> rows{129, 0, 64, 64};
    const auto selected = linear(codes, weight.select(rows), {}, Epilogue::kNone, 0, 4);
    const auto bare = linear(codes, weight, {}, Epilogue::kNone, 0, 130);
    for (std::size_t n = 0; n < sizes.rows; ++n) {
      for (std::size_t j = 0; j < 4; ++j) {
        ASSERT_EQ(selected[n * 4 + j], bare[n * 130 + static_cast<std::size_t>(rows[j])]);
      }
    }
  }
}

TEST(Int8Gemm, TheGreatestSumsDoNotOverflow) {
  const Sizes sizes{1, 1, 65536};
  Case c;
  c.x.assign(65536, 2.0F);
  c.values.assign(65536, -128);
  c.scales = {1.0F};
  const Codes codes = quantized(c.x, sizes, Int8Rounding::kNearest);
  for (const Int8Layout layout : layouts()) {
    EXPECT_EQ(linear(codes, pack(c, sizes, layout), {}, Epilogue::kNone, 0, 1)[0],
              127.0F * -128.0F * 65536.0F * (2.0F / 127.0F));
  }
}

TEST(Int8Gemm, WeightsRoundAsAskedAndZeroRowsHaveScaleOne) {
  const std::vector<float> weight{0.0F, 0.0F, 127.0F, 1.5F, -127.0F, -1.7F};
  std::vector<std::int8_t> values(6);
  std::vector<float> scales(3);
  quantize_weight(view(weight, {3, 2}), Int8Rounding::kNearest, view(values, {3, 2}), scales);
  EXPECT_EQ(values, (std::vector<std::int8_t>{0, 0, 127, 2, -127, -2}));
  EXPECT_EQ(scales, (std::vector<float>{1.0F, 1.0F, 1.0F}));
  quantize_weight(view(weight, {3, 2}), Int8Rounding::kTruncate, view(values, {3, 2}), scales);
  EXPECT_EQ(values, (std::vector<std::int8_t>{0, 0, 127, 1, -127, -1}));
}

}  // namespace
}  // namespace nativo::ops
