#include "ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/device_test_tools.h"
#include "reference/rope.h"

namespace nativo::ops {
namespace {

/// theta^(-2i/D).
std::vector<float> frequencies(std::int64_t dim) {
  std::vector<float> all;
  for (std::int64_t i = 0; i < dim; i += 2) {
    all.push_back(
        static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(dim))));
  }
  return all;
}

class Rope : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Rope, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(Rope, AgreesWithTheReferenceAndTurnsBack) {
  with_type([&]<class T>(T) {
    for (const std::int64_t dim : {2, 6, 32, 128}) {
      const std::vector<std::int32_t> positions{0, 1, 2, 0, 511};
      const std::int64_t width = 4 * dim;
      const auto x = numbers(static_cast<std::size_t>(5 * width), 1);
      std::vector<float> cosine(static_cast<std::size_t>(512 * dim / 2));
      std::vector<float> sine(cosine.size());
      rope_table(frequencies(dim), 1.0, view(cosine, {512, dim / 2}), view(sine, {512, dim / 2}));
      On<float> on_cosine(device(), cosine, {512, dim / 2});
      On<float> on_sine(device(), sine, {512, dim / 2});
      On<std::int32_t> on_positions(device(), positions, {5});
      On<T> turned(device(), x, {5, width});
      const auto turn = [&](Rotation rotation) {
        // The fourth head is not rotated, as values are not.
        rope(turned.view(), 3, on_positions.span(), on_cosine.read(), on_sine.read(), rotation);
      };
      turn(Rotation::kForward);
      auto expected = x;
      reference::rope(expected, static_cast<std::size_t>(width), 3, static_cast<std::size_t>(dim),
                      positions, 10000.0, 1.0);
      // The angle is rounded to f32: 511 * 6e-8.
      EXPECT_LT(relative_error(turned.get_numbers(), expected), bound() + 2e-5)
          << "head size " << dim;
      turn(Rotation::kBackward);
      EXPECT_LT(relative_error(turned.get_numbers(), x), twice());
    }
  });
}

TEST(RopeTable, PositionZeroChangesNothing) {
  std::vector<float> x{1.0F, 2.0F, 3.0F, 4.0F};
  std::vector<float> cosine(2);
  std::vector<float> sine(2);
  rope_table(frequencies(4), 1.0, view(cosine, {1, 2}), view(sine, {1, 2}));
  const std::vector<std::int32_t> positions{0};
  rope(view(x, {1, 4}), 1, positions, view(cosine, {1, 2}), view(sine, {1, 2}), Rotation::kForward);
  EXPECT_EQ(x, (std::vector<float>{1.0F, 2.0F, 3.0F, 4.0F}));
}

}  // namespace
}  // namespace nativo::ops
