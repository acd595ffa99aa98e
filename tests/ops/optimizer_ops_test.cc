// AdamW and the sum of squares.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/adamw.h"
#include "ops/global_norm.h"
#include "ops/ops_test_tools.h"

namespace nativo::ops {
namespace {

TEST(Adamw, AgreesWithThePlainFormula) {
  for (const std::size_t count : {1U, 15U, 16U, 33U, 70000U}) {
    auto value = normal_numbers(count, 1);
    std::vector<double> m(count, 0.0);
    std::vector<double> v(count, 0.0);
    std::vector<float> value_f = to_f32(value);
    std::vector<float> m_f(count, 0.0F);
    std::vector<float> v_f(count, 0.0F);
    AdamW options{.lr = 0.01F,
                  .beta1 = 0.9F,
                  .beta2 = 0.95F,
                  .eps = 1e-8F,
                  .weight_decay = 0.1F,
                  .gradient_scale = 0.5F};
    for (options.step = 1; options.step <= 5; ++options.step) {
      const auto gradient = normal_numbers(count, 10 + static_cast<std::uint64_t>(options.step));
      const auto step = static_cast<double>(options.step);
      for (std::size_t i = 0; i < count; ++i) {
        const double g = 0.5 * gradient[i];
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.95 * v[i] + 0.05 * g * g;
        const double update = m[i] / (1.0 - std::pow(0.9, step)) /
                              (std::sqrt(v[i] / (1.0 - std::pow(0.95, step))) + 1e-8);
        value[i] -= 0.01 * (update + 0.1 * value[i]);
      }
      adamw(options, value_f, to_f32(gradient), m_f, v_f);
    }
    EXPECT_LT(relative_error(value_f, value), kF32);
    EXPECT_LT(relative_error(m_f, m), kF32);
    EXPECT_LT(relative_error(v_f, v), kF32);
  }
}

TEST(Adamw, MomentsOfUnusedRowsDecayToZero) {
  std::vector<float> value{1.0F};
  std::vector<float> m{1e-3F};
  std::vector<float> v{1e-6F};
  AdamW options;
  for (int i = 0; i < 3000; ++i) {
    adamw(options, value, std::vector<float>{0.0F}, m, v);
    ASSERT_FALSE(std::fpclassify(m[0]) == FP_SUBNORMAL || std::fpclassify(v[0]) == FP_SUBNORMAL);
  }
  EXPECT_EQ(m[0], 0.0F);
  EXPECT_EQ(v[0], 0.0F);
}

TEST(SumOfSquares, IsExactAndDoesNotDependOnThreads) {
  const auto x = normal_numbers(100003, 1);
  double expected = 0.0;
  for (const double value : x) expected += value * value;
  const std::vector<float> values = to_f32(x);
  double first = 0.0;
  on_threads([&](int threads) {
    const double sum = sum_of_squares(values);
    if (threads == 1) first = sum;
    EXPECT_EQ(sum, first);
    EXPECT_NEAR(sum / expected, 1.0, 1e-13);  // f64 additions in another order
  });
  EXPECT_EQ(sum_of_squares({}), 0.0);
  EXPECT_EQ(sum_of_squares(std::vector<float>{3.0F, 4e30F}), 9.0 + std::pow(double{4e30F}, 2));
}

}  // namespace
}  // namespace nativo::ops
