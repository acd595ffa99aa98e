#include "ops/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/dropout.h"
#include "ops/ops_test_tools.h"
#include "reference/linear.h"

namespace nativo::ops {
namespace {

/// An adapter of rank r on columns [first, first + outputs) of a layer with `width` outputs.
struct Case {
  std::size_t rows, width, first, outputs, inputs, rank;
};

const std::vector<Case> kCases{
    {1, 9, 0, 9, 5, 1}, {7, 90, 13, 65, 33, 4}, {600, 70, 5, 40, 300, 8}};
constexpr double kScale = 0.75;

/// The full-size weight that the adapter stands for: scale B A in its own rows.
std::vector<double> full_weight(const Case& c, const std::vector<double>& a,
                                const std::vector<double>& b) {
  std::vector<double> weight(c.width * c.inputs, 0.0);
  for (std::size_t o = 0; o < c.outputs; ++o) {
    for (std::size_t r = 0; r < c.rank; ++r) {
      for (std::size_t i = 0; i < c.inputs; ++i) {
        weight[(c.first + o) * c.inputs + i] += kScale * b[o * c.rank + r] * a[r * c.inputs + i];
      }
    }
  }
  return weight;
}

std::int64_t size(std::size_t value) { return static_cast<std::int64_t>(value); }

TEST(LowRank, EqualsALayerWithTheWholeProductAsItsWeight) {
  for (const Case& c : kCases) {
    const auto x = normal_numbers(c.rows * c.inputs, 1);
    const auto a = normal_numbers(c.rank * c.inputs, 2);
    const auto b = normal_numbers(c.outputs * c.rank, 3);
    const auto dy = normal_numbers(c.rows * c.width, 4);
    const std::vector<float> xf = to_f32(x);
    const std::vector<float> af = to_f32(a);
    const std::vector<float> bf = to_f32(b);
    const std::vector<float> dyf = to_f32(dy);
    const LowRank adapter{view(af, {size(c.rank), size(c.inputs)}),
                          view(bf, {size(c.outputs), size(c.rank)}), size(c.first),
                          static_cast<float>(kScale)};
    const auto weight = full_weight(c, a, b);
    const Shape in{size(c.rows), size(c.inputs)};
    const Shape out{size(c.rows), size(c.width)};
    std::vector<float> hidden(c.rows * c.rank, NAN);
    const View<float> scratch = view(hidden, {size(c.rows), size(c.rank)});

    // Adds to its own columns and leaves the others alone.
    std::vector<float> y = dyf;
    low_rank_forward(view(xf, in), adapter, scratch, view(y, out));
    auto expected = reference::linear(x, weight, c.rows, c.width, c.inputs);
    for (std::size_t i = 0; i < y.size(); ++i) expected[i] += dy[i];
    EXPECT_LT(relative_error(y, expected), kF32Bound);

    std::vector<float> dx(c.rows * c.inputs, 9.0F);
    low_rank_backward_input(view(dyf, out), adapter, scratch, view(dx, in), Write::kOverwrite);
    expected = reference::linear_dx(dy, weight, c.rows, c.width, c.inputs);
    EXPECT_LT(relative_error(dx, expected), kF32Bound);
    low_rank_backward_input(view(dyf, out), adapter, scratch, view(dx, in), Write::kAccumulate);
    for (double& value : expected) value *= 2.0;
    EXPECT_LT(relative_error(dx, expected), kF32Bound);

    // From the gradient of the whole weight by the chain rule.
    const auto dweight = reference::linear_dweight(dy, x, c.rows, c.width, c.inputs);
    std::vector<double> expected_da(a.begin(), a.end());
    std::vector<double> expected_db(b.begin(), b.end());
    for (std::size_t o = 0; o < c.outputs; ++o) {
      for (std::size_t r = 0; r < c.rank; ++r) {
        for (std::size_t i = 0; i < c.inputs; ++i) {
          const double dw = kScale * dweight[(c.first + o) * c.inputs + i];
          expected_da[r * c.inputs + i] += dw * b[o * c.rank + r];
          expected_db[o * c.rank + r] += dw * a[r * c.inputs + i];
        }
      }
    }
    std::vector<float> da = af;
    std::vector<float> db = bf;
    low_rank_backward_weight(view(dyf, out), view(xf, in), adapter, scratch,
                             view(da, adapter.a.shape()), view(db, adapter.b.shape()));
    EXPECT_LT(relative_error(da, expected_da), kF32Bound);
    EXPECT_LT(relative_error(db, expected_db), kF32Bound);
  }
}

TEST(Dropout, KeepsTheStatedShareAndScalesIt) {
  const std::vector<float> ones(200000, 1.0F);
  const Shape shape{200, 1000};
  std::vector<float> out(ones.size());
  for (const double p : {0.0, 0.05, 0.5, 0.9}) {
    dropout(view(ones, shape), {.seed = 3, .step = 5, .tensor = 2}, p, view(out, shape));
    double kept = 0.0;
    for (const float value : out) {
      ASSERT_TRUE(value == 0.0F || value == static_cast<float>(1.0 / (1.0 - p)));
      kept += value != 0.0F ? 1.0 : 0.0;
    }
    // Five standard deviations of a binomial share; a wrong p by one percent fails.
    EXPECT_NEAR(kept / 200000.0, 1.0 - p, 5.0 * std::sqrt(p * (1.0 - p) / 200000.0) + 1e-5);
    std::vector<float> sum(ones.size(), 0.5F);
    dropout_add(view(ones, shape), {.seed = 3, .step = 5, .tensor = 2}, p, view(sum, shape));
    for (std::size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], out[i] + 0.5F);
  }
}

TEST(Dropout, AMaskIsAFunctionOfItsKeyAndTheElement) {
  const std::vector<float> x = to_f32(normal_numbers(60 * 701, 1));
  const auto masked = [&](const RandomKey& key) {
    std::vector<float> out(x.size());
    dropout(view(x, {60, 701}), key, 0.3, view(out, {60, 701}));
    return out;
  };
  const std::vector<float> whole = masked({.seed = 1, .step = 2, .tensor = 3});
  EXPECT_NE(whole, masked({.seed = 2, .step = 2, .tensor = 3}));
  EXPECT_NE(whole, masked({.seed = 1, .step = 3, .tensor = 3}));
  EXPECT_NE(whole, masked({.seed = 1, .step = 2, .tensor = 4}));
  EXPECT_NE(whole, masked({.seed = 1, .step = 2, .tensor = 3, .first_element = 8}));
  // In two parts, cut where no block of random bits ends.
  std::vector<float> parts(x.size());
  dropout(View<const float>(x.data(), {17, 701}), {.seed = 1, .step = 2, .tensor = 3}, 0.3,
          View<float>(parts.data(), {17, 701}));
  dropout(View<const float>(x.data() + 17 * 701, {43, 701}),
          {.seed = 1, .step = 2, .tensor = 3, .first_element = 17 * 701}, 0.3,
          View<float>(parts.data() + 17 * 701, {43, 701}));
  EXPECT_TRUE(parts == whole);
  on_threads([&](int threads) {
    EXPECT_TRUE(masked({.seed = 1, .step = 2, .tensor = 3}) == whole) << threads << " threads";
  });
}

TEST(LowRank, AnyNumberOfThreadsGivesTheSameBits) {
  const std::vector<float> x = to_f32(normal_numbers(900 * 96, 1));
  const std::vector<float> dy = to_f32(normal_numbers(900 * 80, 2));
  const std::vector<float> a = to_f32(normal_numbers(8 * 96, 3));
  const std::vector<float> b = to_f32(normal_numbers(80 * 8, 4));
  const LowRank adapter{view(a, {8, 96}), view(b, {80, 8}), 0, 0.5F};
  std::vector<float> expected;
  on_threads([&](int threads) {
    std::vector<float> hidden(900 * 8);
    std::vector<float> gradients(8 * 96 + 80 * 8, 0.0F);
    low_rank_backward_weight(view(dy, {900, 80}), view(x, {900, 96}), adapter,
                             view(hidden, {900, 8}), View<float>(gradients.data(), {8, 96}),
                             View<float>(gradients.data() + 8 * 96, {80, 8}));
    if (threads == 1) expected = gradients;
    EXPECT_TRUE(gradients == expected) << threads << " threads";
  });
}

}  // namespace
}  // namespace nativo::ops
