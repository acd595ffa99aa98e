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
  }
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
