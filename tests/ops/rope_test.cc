#include "ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops_test_tools.h"
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

TEST(Rope, AgreesWithTheReferenceAndTurnsBack) {
  for (const std::int64_t dim : {2, 6, 32, 128}) {
    const std::vector<std::int32_t> positions{0, 1, 2, 0, 511};
    const std::int64_t width = 4 * dim;
    const auto x = normal_numbers(static_cast<std::size_t>(5 * width), 1);
    std::vector<float> cosine(static_cast<std::size_t>(512 * dim / 2));
    std::vector<float> sine(cosine.size());
    rope_table(frequencies(dim), 1.0, view(cosine, {512, dim / 2}), view(sine, {512, dim / 2}));
    std::vector<float> turned = to_f32(x);
    const auto turn = [&](Rotation rotation) {
      // The fourth head is not rotated, as values are not.
      rope(view(turned, {5, width}), 3, positions, view(cosine, {512, dim / 2}),
           view(sine, {512, dim / 2}), rotation);
    };
    turn(Rotation::kForward);
    auto expected = x;
    reference::rope(expected, static_cast<std::size_t>(width), 3, static_cast<std::size_t>(dim),
                    positions, 10000.0, 1.0);
    // The angle is rounded to f32: 511 * 6e-8.
    EXPECT_LT(relative_error(turned, expected), 2e-5) << "head size " << dim;
    turn(Rotation::kBackward);
    EXPECT_LT(relative_error(turned, x), kF32);
  }
}

TEST(Rope, PositionZeroChangesNothing) {
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
