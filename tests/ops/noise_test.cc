#include "ops/noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops_test_tools.h"

namespace nativo::ops {
namespace {

constexpr RandomKey kKey{.seed = 1, .step = 2, .tensor = 3};

std::vector<float> noise(const RandomKey& key, float magnitude) {
  std::vector<float> x(60 * 701, 0.0F);
  add_uniform_noise(view(x, {60, 701}), key, magnitude);
  return x;
}

TEST(Noise, IsUniformAroundZeroAndAdded) {
  const std::vector<float> x = noise(kKey, 0.5F);
  double sum = 0.0;
  double squares = 0.0;
  for (const float value : x) {
    ASSERT_LT(std::abs(value), 0.5F);
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(x.size());
  // The variance of U(-1/2, 1/2) is 1/12, that of its square 1/180: five standard deviations.
  EXPECT_NEAR(sum / count, 0.0, 5.0 * std::sqrt(1.0 / 12.0 / count));
  EXPECT_NEAR(squares / count, 1.0 / 12.0, 5.0 * std::sqrt(1.0 / 180.0 / count));

  std::vector<float> twice = x;
  add_uniform_noise(view(twice, {60, 701}), kKey, 0.5F);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(twice[i], 2.0F * x[i]);
}

TEST(Noise, IsAFunctionOfItsKeyAndTheElement) {
  const std::vector<float> whole = noise(kKey, 1.0F);
  EXPECT_NE(whole, noise({.seed = 2, .step = 2, .tensor = 3}, 1.0F));
  EXPECT_NE(whole, noise({.seed = 1, .step = 3, .tensor = 3}, 1.0F));
  EXPECT_NE(whole, noise({.seed = 1, .step = 2, .tensor = 4}, 1.0F));
  // In two parts, cut where no block of random bits ends.
  std::vector<float> parts(whole.size(), 0.0F);
  add_uniform_noise(View<float>(parts.data(), {17, 701}), kKey, 1.0F);
  add_uniform_noise(View<float>(parts.data() + 17 * 701, {43, 701}),
                    {.seed = 1, .step = 2, .tensor = 3, .first_element = 17 * 701}, 1.0F);
  EXPECT_TRUE(parts == whole);
  on_threads(
      [&](int threads) { EXPECT_TRUE(noise(kKey, 1.0F) == whole) << threads << " threads"; });
}

}  // namespace
}  // namespace nativo::ops
