#include "ops/rmsnorm.h"

#include <gtest/gtest.h>

#include "ops/ops_test_tools.h"
#include "reference/rmsnorm.h"

namespace nativo::ops {
namespace {

constexpr double kEps = 1e-5;

TEST(Rmsnorm, ForwardAndGradientsAgreeWithTheReference) {
  for (const std::size_t columns : {1U, 7U, 16U, 50U, 192U}) {
    const std::size_t rows = 131;
    const auto x = normal_numbers(rows * columns, 1);
    const auto w = normal_numbers(columns, 2);
    const auto dy = normal_numbers(rows * columns, 3);
    const auto start = normal_numbers(rows * columns, 4);
    const Shape shape{131, static_cast<std::int64_t>(columns)};
    const Shape row{static_cast<std::int64_t>(columns)};
    const std::vector<float> xf = to_f32(x);
    const std::vector<float> wf = to_f32(w);
    const std::vector<float> dyf = to_f32(dy);
    std::vector<float> y(x.size());
    std::vector<float> rstd(rows);
    rmsnorm_forward(view(xf, shape), view(wf, row), static_cast<float>(kEps), view(y, shape),
                    view(rstd, {131}));
    EXPECT_LT(relative_error(y, reference::rmsnorm(x, w, kEps)), kF32);

    std::vector<float> again(x.size());
    rmsnorm_apply(view(xf, shape), view(wf, row), view(std::as_const(rstd), {131}),
                  view(again, shape));
    EXPECT_EQ(again, y);

    std::vector<double> expected_dx = start;
    std::vector<double> expected_dweight(columns, 1.0);
    reference::rmsnorm_backward(dy, x, w, kEps, expected_dx, expected_dweight);
    std::vector<float> dx = to_f32(start);
    std::vector<float> dweight(columns, 1.0F);
    std::vector<float> partial(static_cast<std::size_t>(rmsnorm_partial_rows(131)) * columns);
    rmsnorm_backward(view(dyf, shape), view(xf, shape), view(wf, row),
                     view(std::as_const(rstd), {131}), view(dx, shape), view(dweight, row),
                     view(partial, {rmsnorm_partial_rows(131), row[0]}));
    EXPECT_LT(relative_error(dx, expected_dx), kF32);
    EXPECT_LT(relative_error(dweight, expected_dweight), kF32);

    // A frozen weight has no gradient, and its input's is the same.
    std::vector<float> frozen = to_f32(start);
    rmsnorm_backward(view(dyf, shape), view(xf, shape), view(wf, row),
                     view(std::as_const(rstd), {131}), view(frozen, shape), {},
                     view(partial, {rmsnorm_partial_rows(131), row[0]}));
    EXPECT_EQ(frozen, dx);
  }
}

TEST(Rmsnorm, HeadsAreRowsOfTheirOwn) {
  constexpr std::size_t kRows = 70;
  constexpr std::size_t kDim = 6;
  constexpr HeadRange kHeads{1, 3};  // of 4, in rows that hold one more in y
  const Shape x_shape{70, 24};
  const Shape y_shape{70, 30};
  const auto x = normal_numbers(kRows * 24, 1);
  const auto w = normal_numbers(kDim, 2);
  const auto dy = normal_numbers(kRows * 30, 3);
  const std::vector<float> xf = to_f32(x);
  const std::vector<float> wf = to_f32(w);
  const auto normed = [](const std::vector<double>& from, std::size_t stride) {
    std::vector<double> part;
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t i = kDim; i < 4 * kDim; ++i) part.push_back(from[row * stride + i]);
    }
    return part;
  };
  std::vector<float> y(kRows * 30, 9.0F);
  std::vector<float> rstd(kRows * 4);
  rmsnorm_heads_forward(view(xf, x_shape), kHeads, view(wf, {6}), static_cast<float>(kEps),
                        view(y, y_shape), view(rstd, {70, 4}));
  EXPECT_LT(
      relative_error(normed({y.begin(), y.end()}, 30), reference::rmsnorm(normed(x, 24), w, kEps)),
      kF32);
  EXPECT_EQ(y[5], 9.0F);
  EXPECT_EQ(y[24], 9.0F);

  std::vector<double> expected_dx(kRows * 3 * kDim, 0.0);
  std::vector<double> expected_dweight(kDim, 1.0);
  reference::rmsnorm_backward(normed(dy, 30), normed(x, 24), w, kEps, expected_dx,
                              expected_dweight);
  std::vector<float> first;
  on_threads([&](int threads) {
    std::vector<float> gradient = to_f32(dy);
    std::vector<float> dweight(kDim, 1.0F);
    std::vector<float> partial(static_cast<std::size_t>(rmsnorm_partial_rows(70)) * kDim);
    rmsnorm_heads_backward(view(gradient, y_shape), view(xf, x_shape), kHeads, view(wf, {6}),
                           view(std::as_const(rstd), {70, 4}), view(dweight, {6}),
                           view(partial, {rmsnorm_partial_rows(70), 6}));
    EXPECT_LT(relative_error(normed({gradient.begin(), gradient.end()}, 30), expected_dx), kF32);
    EXPECT_LT(relative_error(dweight, expected_dweight), kF32);
    EXPECT_EQ(gradient[0], static_cast<float>(dy[0]));
    if (threads == 1) first = dweight;
    EXPECT_EQ(dweight, first);
  });
}

TEST(Rmsnorm, TheReferencesGradientsAreTheDifferences) {
  const auto x = normal_numbers(3 * 5, 1);
  const auto w = normal_numbers(5, 2);
  const auto dy = normal_numbers(3 * 5, 3);
  std::vector<double> dx(15, 0.0);
  std::vector<double> dweight(5, 0.0);
  reference::rmsnorm_backward(dy, x, w, kEps, dx, dweight);
  const auto by_x = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dy, reference::rmsnorm(v, w, kEps)); }, x);
  const auto by_w = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dy, reference::rmsnorm(x, v, kEps)); }, w);
  EXPECT_LT(relative_error(dx, by_x), kDifference);
  EXPECT_LT(relative_error(dweight, by_w), kDifference);
}

}  // namespace
}  // namespace nativo::ops
