#include "ops/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/device_test_tools.h"
#include "reference/swiglu.h"

namespace nativo::ops {
namespace {

class Swiglu : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Swiglu, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(Swiglu, ForwardAndGradientAgreeWithTheReference) {
  with_type([&]<class T>(T) {
    for (const std::int64_t f : {1, 16, 45, 512}) {
      const auto columns = static_cast<std::size_t>(f);
      const auto gate_up = numbers(33 * 2 * columns, 1, 3.0);
      const auto dact = numbers(33 * columns, 2);
      On<T> both(device(), gate_up, {33, 2 * f});
      On<T> act(device(), {33, f});
      swiglu_forward(both.read(), act.view());
      const auto expected = reference::swiglu(gate_up, columns);
      EXPECT_LT(relative_error(act.get_numbers(), expected), bound());

      On<T> gradient(device(), dact, {33, f});
      swiglu_backward(both.view(), gradient.view());
      EXPECT_LT(
          relative_error(both.get_numbers(), reference::swiglu_backward(gate_up, dact, columns)),
          bound());
      EXPECT_LT(relative_error(gradient.get_numbers(), expected), bound());
    }
  });
}

TEST_P(Swiglu, ExtremesStayFiniteAndNansStayNans) {
  with_type([&]<class T>(T) {
    const std::vector<float> gate_up{-1e4F, 1e4F, NAN, 2.0F, 2.0F, 2.0F};
    On<T> both(device(), gate_up, {1, 6});
    On<T> act(device(), {1, 3});
    swiglu_forward(both.read(), act.view());
    const auto result = act.get_numbers();
    EXPECT_NEAR(result[0], 0.0, 1e-30);
    EXPECT_NEAR(result[1], 2e4, 2e4 * bound());
    EXPECT_TRUE(std::isnan(result[2]));
  });
}

TEST(SwigluReference, ItsGradientIsTheDifference) {
  const auto gate_up = normal_numbers(2 * 6, 1);
  const auto dact = normal_numbers(6, 2);
  const auto by_input = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dact, reference::swiglu(v, 3)); }, gate_up);
  EXPECT_LT(relative_error(reference::swiglu_backward(gate_up, dact, 3), by_input), kDifference);
}

}  // namespace
}  // namespace nativo::ops
