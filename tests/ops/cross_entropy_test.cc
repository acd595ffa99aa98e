#include "ops/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops_test_tools.h"
#include "reference/cross_entropy.h"

namespace nativo::ops {
namespace {

TEST(CrossEntropy, AgreesWithTheReference) {
  for (const std::int64_t vocabulary : {1, 5, 16, 100, 4096}) {
    const auto columns = static_cast<std::size_t>(vocabulary);
    const auto x = normal_numbers(9 * columns, 1, 5.0);
    std::vector<std::int32_t> targets;
    for (std::int32_t i = 0; i < 9; ++i) {
      targets.push_back(static_cast<std::int32_t>(i * 31 % vocabulary));
    }
    const auto expected = reference::log_prob(x, targets, columns);
    std::vector<float> logits = to_f32(x);
    std::vector<double> log_prob(9);
    std::vector<std::int32_t> argmax(9);
    cross_entropy_forward(view(std::as_const(logits), {9, vocabulary}), targets, log_prob, argmax);
    EXPECT_LT(relative_error(log_prob, expected), kF32);
    for (std::size_t row = 0; row < 9; ++row) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * columns);
      EXPECT_EQ(argmax[row], std::max_element(begin, begin + vocabulary) - begin);
    }

    std::vector<double> same(9);
    cross_entropy_forward_backward(view(logits, {9, vocabulary}), targets, 0.25F, same);
    EXPECT_EQ(same, log_prob);
    EXPECT_LT(relative_error(logits, reference::cross_entropy_backward(x, targets, columns, 0.25)),
              kF32);
  }
}

TEST(CrossEntropy, TheReferencesGradientIsTheDifference) {
  const auto x = normal_numbers(2 * 6, 1);
  const std::vector<std::int32_t> targets{4, 0};
  const auto by_logits = reference::finite_difference(
      [&](const auto& v) {
        const auto log_prob = reference::log_prob(v, targets, 6);
        return -3.0 * (log_prob[0] + log_prob[1]);
      },
      x);
  EXPECT_LT(relative_error(reference::cross_entropy_backward(x, targets, 6, 3.0), by_logits),
            kDifference);
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  std::vector<float> logits{1e30F, -1e30F, 0.0F, 1000.0F, 999.0F, -1000.0F};
  const std::vector<std::int32_t> targets{0, 1};
  std::vector<double> log_prob(2);
  cross_entropy_forward_backward(view(logits, {2, 3}), targets, 1.0F, log_prob);
  EXPECT_EQ(log_prob[0], 0.0);
  EXPECT_NEAR(log_prob[1], -1.0 - std::log1p(std::exp(-1.0)), 1e-6);
  for (const float value : logits) EXPECT_TRUE(std::isfinite(value));
}

TEST(CrossEntropy, ANanIsSeen) {
  const std::vector<float> logits{1.0F, NAN, 0.0F};
  const std::vector<std::int32_t> targets{0};
  std::vector<double> log_prob(1);
  cross_entropy_forward(view(logits, {1, 3}), targets, log_prob, {});
  EXPECT_TRUE(std::isnan(log_prob[0]));
}

}  // namespace
}  // namespace nativo::ops
