// FP8: the codes against the formats' definitions, the products against the codes' own.
#include "ops/fp8.h"

#include <cmath>

#include "ops/device_test_tools.h"
#include "reference/linear.h"

namespace nativo::ops {
namespace {

constexpr Fp8Format kFormats[] = {Fp8Format::kE4M3, Fp8Format::kE5M2};

bool is_number(std::uint8_t code, Fp8Format format) {
  const int size = code & 0x7F;
  return format == Fp8Format::kE4M3 ? size != 0x7F : size < 0x7C;
}

TEST(Fp8, HasTheFormatsNumbers) {
  EXPECT_EQ(from_fp8(0x7E, Fp8Format::kE4M3), 448.0F);
  EXPECT_EQ(from_fp8(0x01, Fp8Format::kE4M3), 0x1p-9F);
  EXPECT_EQ(from_fp8(0x08, Fp8Format::kE4M3), 0x1p-6F);
  EXPECT_TRUE(std::isnan(from_fp8(0xFF, Fp8Format::kE4M3)));
  EXPECT_EQ(from_fp8(0x7B, Fp8Format::kE5M2), 57344.0F);
  EXPECT_EQ(from_fp8(0x01, Fp8Format::kE5M2), 0x1p-16F);
  EXPECT_EQ(from_fp8(0x3C, Fp8Format::kE5M2), 1.0F);
  EXPECT_TRUE(std::isinf(from_fp8(0xFC, Fp8Format::kE5M2)));
  for (const Fp8Format format : kFormats) {
    for (int code = 0; code < 256; ++code) {
      const auto byte = static_cast<std::uint8_t>(code);
      if (!is_number(byte, format)) continue;
      EXPECT_EQ(to_fp8(from_fp8(byte, format), format), byte) << code;
    }
  }
}

TEST(Fp8, RoundsToTheNearestAndTiesToEven) {
  for (const Fp8Format format : kFormats) {
    for (int code = 0; is_number(static_cast<std::uint8_t>(code + 1), format); ++code) {
      const auto low = static_cast<std::uint8_t>(code);
      const auto high = static_cast<std::uint8_t>(code + 1);
      const float middle = (from_fp8(low, format) + from_fp8(high, format)) / 2;
      EXPECT_EQ(to_fp8(middle, format), code % 2 == 0 ? low : high) << code;
      EXPECT_EQ(to_fp8(std::nextafter(middle, 0.0F), format), low) << code;
      EXPECT_EQ(to_fp8(std::nextafter(middle, 1e9F), format), high) << code;
      EXPECT_EQ(to_fp8(-middle, format), 0x80 | (code % 2 == 0 ? low : high)) << code;
    }
    const std::uint8_t largest = to_fp8(fp8_largest(format), format);
    EXPECT_EQ(to_fp8(1e30F, format), largest);
    EXPECT_EQ(to_fp8(INFINITY, format), largest);
    EXPECT_TRUE(std::isnan(from_fp8(to_fp8(NAN, format), format)));
  }
}

class Fp8Products : public OnEveryDevice {};
std::vector<Arithmetic> in_bf16() {
  std::vector<Arithmetic> all = arithmetics();
  std::erase_if(all, [](const Arithmetic& one) { return !one.is_bf16; });
  return all;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Fp8Products);
INSTANTIATE_TEST_SUITE_P(Devices, Fp8Products, testing::ValuesIn(in_bf16()), arithmetic_name);

/// What the factor is once it was in FP8.
std::vector<double> through_fp8(const std::vector<double>& values, Fp8Format format) {
  float most = 0.0F;
  for (const double value : values) most = std::max(most, std::fabs(static_cast<float>(value)));
  const float scale = fp8_scale(most, format);
  std::vector<double> all;
  for (const double value : values) {
    const float scaled = static_cast<float>(value) * (1.0F / scale);
    all.push_back(static_cast<double>(from_fp8(to_fp8(scaled, format), format)) *
                  static_cast<double>(scale));
  }
  return all;
}

TEST_P(Fp8Products, AreThoseOfTheRoundedFactors) {
  for (const auto& [rows, outputs, inputs] :
       {std::array{16, 16, 16}, std::array{48, 80, 112}, std::array{144, 64, 208}}) {
    const auto count = [](int a, int b) { return static_cast<std::size_t>(a * b); };
    const auto x = numbers(count(rows, inputs), 1, 3.0);
    const auto weight = numbers(count(outputs, inputs), 2, 0.02);
    const auto dy = numbers(count(rows, outputs), 3, 1e-4);
    const auto before = numbers(count(outputs, inputs), 4, 1e-4);
    On<bf16> on_x(device(), x, {rows, inputs});
    On<bf16> on_weight(device(), weight, {outputs, inputs});
    On<bf16> on_dy(device(), dy, {rows, outputs});
    On<bf16> y(device(), {rows, outputs});
    On<bf16> dx(device(), {rows, inputs});
    On<bf16> dweight(device(), before, {outputs, inputs});
    const Fp8ScratchSize size = fp8_scratch(rows, outputs, inputs);
    On<std::uint8_t> left(device(), {size.left});
    On<std::uint8_t> right(device(), {size.right});
    On<float> some(device(), {kFp8Numbers});
    const Fp8Scratch scratch{left.view(), right.view(), some.view()};
    fp8_linear_forward(on_x.read(), on_weight.read(), scratch, y.view());
    fp8_linear_backward_input(on_dy.read(), on_weight.read(), scratch, dx.view());
    fp8_linear_backward_weight(on_dy.read(), on_x.read(), scratch, dweight.view());

    const auto x8 = through_fp8(x, Fp8Format::kE4M3);
    const auto weight8 = through_fp8(weight, Fp8Format::kE4M3);
    const auto dy8 = through_fp8(dy, Fp8Format::kE5M2);
    const auto at = [](int row, int columns, int column) {
      return static_cast<std::size_t>(row * columns + column);
    };
    std::vector<double> want_y(count(rows, outputs));
    std::vector<double> want_dx(count(rows, inputs));
    std::vector<double> want_dweight = before;
    for (int n = 0; n < rows; ++n) {
      for (int o = 0; o < outputs; ++o) {
        for (int i = 0; i < inputs; ++i) {
          want_y[at(n, outputs, o)] += x8[at(n, inputs, i)] * weight8[at(o, inputs, i)];
          want_dx[at(n, inputs, i)] += dy8[at(n, outputs, o)] * weight8[at(o, inputs, i)];
          want_dweight[at(o, inputs, i)] += dy8[at(n, outputs, o)] * x8[at(n, inputs, i)];
        }
      }
    }
    EXPECT_LT(relative_error(y.get_numbers(), want_y), bound());
    EXPECT_LT(relative_error(dx.get_numbers(), want_dx), bound());
    EXPECT_LT(relative_error(dweight.get_numbers(), want_dweight), bound());
  }
}

TEST_P(Fp8Products, ZerosAndWhatIsNoNumber) {
  const Shape shape{16, 16};
  std::vector<double> values(256, 0.0);
  On<bf16> zeros(device(), values, shape);
  values[17] = NAN;
  On<bf16> broken(device(), values, shape);
  On<bf16> y(device(), shape);
  On<std::uint8_t> left(device(), Shape{256});
  On<std::uint8_t> right(device(), Shape{256});
  On<float> some(device(), {kFp8Numbers});
  const Fp8Scratch scratch{left.view(), right.view(), some.view()};
  fp8_linear_forward(zeros.read(), zeros.read(), scratch, y.view());
  for (const double value : y.get_numbers()) EXPECT_EQ(value, 0.0);
  fp8_linear_forward(broken.read(), zeros.read(), scratch, y.view());
  EXPECT_TRUE(std::isnan(y.get_numbers()[16]));  // nobody takes it for a number
}

}  // namespace
}  // namespace nativo::ops
