#include "ops/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops_test_tools.h"
#include "reference/swiglu.h"

namespace nativo::ops {
namespace {

TEST(Swiglu, ForwardAndGradientAgreeWithTheReference) {
  for (const std::size_t columns : {1U, 16U, 45U}) {
    const std::size_t rows = 33;
    const auto gate_up = normal_numbers(rows * 2 * columns, 1, 3.0);
    const auto dact = normal_numbers(rows * columns, 2);
    const auto f = static_cast<std::int64_t>(columns);
    std::vector<float> both = to_f32(gate_up);
    std::vector<float> act(rows * columns);
    swiglu_forward(view(std::as_const(both), {33, 2 * f}), view(act, {33, f}));
    const auto expected = reference::swiglu(gate_up, columns);
    EXPECT_LT(relative_error(act, expected), kF32);

    std::vector<float> gradient = to_f32(dact);
    swiglu_backward(view(both, {33, 2 * f}), view(gradient, {33, f}));
    EXPECT_LT(relative_error(both, reference::swiglu_backward(gate_up, dact, columns)), kF32);
    EXPECT_LT(relative_error(gradient, expected), kF32);
  }
}

TEST(Swiglu, TheReferencesGradientIsTheDifference) {
  const auto gate_up = normal_numbers(2 * 6, 1);
  const auto dact = normal_numbers(6, 2);
  const auto by_input = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dact, reference::swiglu(v, 3)); }, gate_up);
  EXPECT_LT(relative_error(reference::swiglu_backward(gate_up, dact, 3), by_input), kDifference);
}

TEST(Swiglu, ExtremesStayFiniteAndNansStayNans) {
  const std::vector<float> gate_up{-1e4F, 1e4F, NAN, 2.0F, 2.0F, 2.0F};
  std::vector<float> act(3);
  swiglu_forward(view(gate_up, {1, 6}), view(act, {1, 3}));
  EXPECT_NEAR(act[0], 0.0F, 1e-30);
  EXPECT_FLOAT_EQ(act[1], 2e4F);
  EXPECT_TRUE(std::isnan(act[2]));
}

}  // namespace
}  // namespace nativo::ops
