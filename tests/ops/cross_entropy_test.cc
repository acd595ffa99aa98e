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
    EXPECT_LT(relative_error(log_prob, expected), kF32Bound);
    for (std::size_t row = 0; row < 9; ++row) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * columns);
      EXPECT_EQ(argmax[row], std::max_element(begin, begin + vocabulary) - begin);
    }

    std::vector<double> same(9);
    std::vector<double> loss(9);
    cross_entropy_forward_backward(view(logits, {9, vocabulary}), targets, {.scale = 0.25F}, same,
                                   loss);
    EXPECT_EQ(same, log_prob);
    for (std::size_t row = 0; row < 9; ++row) EXPECT_EQ(loss[row], -log_prob[row]);
    EXPECT_LT(relative_error(logits, reference::cross_entropy_backward(x, targets, columns, 0.25)),
              kF32Bound);
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

struct Additions {
  double z_loss;
  double label_smoothing;
};
class CrossEntropyAdditions : public testing::TestWithParam<Additions> {};
INSTANTIATE_TEST_SUITE_P(CrossEntropy, CrossEntropyAdditions,
                         testing::Values(Additions{0.01, 0.0}, Additions{0.0, 0.1},
                                         Additions{0.01, 0.3}));

TEST_P(CrossEntropyAdditions, LossIsTheReferencesAndTheGradientItsDifference) {
  const auto [z_loss, smoothing] = GetParam();
  for (const std::int64_t vocabulary : {1, 7, 33, 70}) {
    const auto columns = static_cast<std::size_t>(vocabulary);
    auto x = normal_numbers(5 * columns, 3, 4.0);
    for (double& value : x) value += 2.0;  // lse away from 0
    std::vector<std::int32_t> targets;
    for (std::int32_t i = 0; i < 5; ++i) {
      targets.push_back(static_cast<std::int32_t>(i * 31 % vocabulary));
    }
    std::vector<float> logits = to_f32(x);
    x.assign(logits.begin(), logits.end());
    std::vector<double> log_prob(5);
    std::vector<double> loss(5);
    cross_entropy_forward_backward(view(logits, {5, vocabulary}), targets,
                                   {0.25F, z_loss, smoothing}, log_prob, loss);
    EXPECT_LT(relative_error(log_prob, reference::log_prob(x, targets, columns)), kF32Bound);
    EXPECT_LT(
        relative_error(loss, reference::smoothed_loss(x, targets, columns, z_loss, smoothing)),
        kF32Bound);
    const auto expected = reference::finite_difference(
        [&](const auto& v) {
          double sum = 0.0;
          for (const double row :
               reference::smoothed_loss(v, targets, columns, z_loss, smoothing)) {
            sum += 0.25 * row;
          }
          return sum;
        },
        x);
    // A vocabulary of one has no gradient but the z-loss's.
    if (vocabulary > 1 || z_loss > 0.0) {
      EXPECT_LT(relative_error(logits, expected), kF32Bound);
    }
  }
}

/// torch 2.15, f64: logits.requires_grad_(); lse = logits.logsumexp(1); loss =
/// cross_entropy(logits, targets, label_smoothing=0.1, reduction="none") + 1e-2 * lse**2.
TEST(CrossEntropy, AgreesWithTorch) {
  std::vector<float> logits{0.026F, -0.208F, -0.116F, 2.335F, 0.605F,
                            4.886F, -1.803F, -0.525F, 2.262F, -0.798F};
  const std::vector<double> expected_loss{0.619268369085, 0.733082465031};
  const std::vector<double> expected_gradient{
      0.0526525441865, 0.0374944492969,  0.043034891674,   -0.188798984336, 0.109630540631,
      0.0963323021878, -0.0187351473366, -0.0154598700103, 0.0536965247253, -0.0165445398099};
  std::vector<double> log_prob(2);
  std::vector<double> loss(2);
  cross_entropy_forward_backward(view(logits, {2, 5}), std::vector<std::int32_t>{3, 0},
                                 {.z_loss = 1e-2, .label_smoothing = 0.1}, log_prob, loss);
  EXPECT_LT(relative_error(loss, expected_loss), kF32Bound);
  EXPECT_LT(relative_error(logits, expected_gradient), kF32Bound);
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  std::vector<float> logits{1e30F, -1e30F, 0.0F, 1000.0F, 999.0F, -1000.0F};
  const std::vector<std::int32_t> targets{0, 1};
  std::vector<double> log_prob(2);
  cross_entropy_forward_backward(view(logits, {2, 3}), targets, {}, log_prob, {});
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
