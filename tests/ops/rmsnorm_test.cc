#include "ops/rmsnorm.h"

#include <gtest/gtest.h>

#include "ops/device_test_tools.h"
#include "ops/ops_test_tools.h"
#include "reference/rmsnorm.h"

namespace nativo::ops {
namespace {

constexpr double kEps = 1e-5;

class Rmsnorm : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Rmsnorm, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(Rmsnorm, ForwardAndGradientsAgreeWithTheReference) {
  with_type([&]<class T>(T) {
    for (const std::int64_t columns : {1, 7, 16, 50, 192, 1032, 2560}) {
      constexpr std::int64_t kRows = 67;
      const auto count = static_cast<std::size_t>(kRows * columns);
      const auto width = static_cast<std::size_t>(columns);
      const auto x = numbers(count, 1);
      const auto w = numbers(width, 2);
      const auto dy = numbers(count, 3);
      const auto start = numbers(count, 4);
      const Shape shape{kRows, columns};
      On<T> on_x(device(), x, shape);
      On<T> on_w(device(), w, {columns});
      On<T> y(device(), shape);
      On<float> rstd(device(), {kRows});
      rmsnorm_forward(on_x.read(), on_w.read(), static_cast<float>(kEps), y.view(), rstd.view());
      EXPECT_LT(relative_error(y.get_numbers(), reference::rmsnorm(x, w, kEps)), bound())
          << columns;

      On<T> again(device(), shape);
      rmsnorm_apply(on_x.read(), on_w.read(), rstd.view(), again.view());
      EXPECT_EQ(again.get(), y.get());

      std::vector<double> expected_dx = start;
      std::vector<double> expected_dweight(width, 1.0);
      reference::rmsnorm_backward(dy, x, w, kEps, expected_dx, expected_dweight);
      On<T> on_dy(device(), dy, shape);
      On<T> dx(device(), start, shape);
      On<T> dweight(device(), std::vector<float>(width, 1.0F), {columns});
      On<float> partial(device(), {rmsnorm_partial_rows(kRows, device()), columns});
      rmsnorm_backward(on_dy.read(), on_x.read(), on_w.read(), rstd.view(), dx.view(),
                       dweight.view(), partial.view());
      EXPECT_LT(relative_error(dx.get_numbers(), expected_dx), bound());
      EXPECT_LT(relative_error(dweight.get_numbers(), expected_dweight), bound());

      // A frozen weight has no gradient, and its input's is the same. Twice gives the same bits.
      On<T> frozen(device(), start, shape);
      rmsnorm_backward(on_dy.read(), on_x.read(), on_w.read(), rstd.view(), frozen.view(), {},
                       partial.view());
      EXPECT_EQ(frozen.get(), dx.get());

      // With the residual sum before it.
      On<T> on_start(device(), start, shape);
      On<T> sum(device(), shape);
      On<T> normed(device(), shape);
      add_rmsnorm_forward(on_x.read(), on_start.read(), on_w.read(), static_cast<float>(kEps),
                          sum.view(), normed.view(), rstd.view());
      std::vector<double> expected_sum = x;
      for (std::size_t i = 0; i < count; ++i) expected_sum[i] += start[i];
      EXPECT_LT(relative_error(sum.get_numbers(), expected_sum), bound());
      EXPECT_LT(
          relative_error(normed.get_numbers(), reference::rmsnorm(sum.get_numbers(), w, kEps)),
          bound());
    }
  });
}

constexpr std::int64_t kHeadRows = 37;
constexpr std::int64_t kHeadSize = 24;
constexpr HeadRange kThreeHeads{1, 3};  // of 5

TEST_P(Rmsnorm, HeadsAreRows) {
  with_type([&]<class T>(T) {
    const Shape shape{kHeadRows, 5 * kHeadSize};
    const auto x = numbers(static_cast<std::size_t>(shape.elements()), 1);
    const auto w = numbers(kHeadSize, 2);
    const auto dy = numbers(x.size(), 3);
    const auto part = [&](const std::vector<double>& all) {
      std::vector<double> heads;
      for (std::int64_t row = 0; row < kHeadRows; ++row) {
        const auto begin = all.begin() + (row * 5 + kThreeHeads.first) * kHeadSize;
        heads.insert(heads.end(), begin, begin + kThreeHeads.count * kHeadSize);
      }
      return heads;
    };
    On<T> on_x(device(), x, shape);
    On<T> on_w(device(), w, {kHeadSize});
    On<T> y(device(), shape);
    On<float> rstd(device(), {kHeadRows, 5});
    rmsnorm_heads_forward(on_x.read(), kThreeHeads, on_w.read(), static_cast<float>(kEps), y.view(),
                          rstd.view());
    EXPECT_LT(relative_error(part(y.get_numbers()), reference::rmsnorm(part(x), w, kEps)), bound());
    EXPECT_EQ(number(y.get()[0]), 9.0);
    EXPECT_EQ(number(y.get()[4 * kHeadSize]), 9.0);

    std::vector<double> expected_dx(static_cast<std::size_t>(kHeadRows * 3 * kHeadSize), 0.0);
    std::vector<double> expected_dweight(kHeadSize, 1.0);
    reference::rmsnorm_backward(part(dy), part(x), w, kEps, expected_dx, expected_dweight);
    On<T> gradient(device(), dy, shape);
    On<T> dweight(device(), std::vector<float>(kHeadSize, 1.0F), {kHeadSize});
    On<float> partial(
        device(), {rmsnorm_heads_partial_rows(kHeadRows, kThreeHeads.count, device()), kHeadSize});
    rmsnorm_heads_backward(gradient.view(), on_x.read(), kThreeHeads, on_w.read(), rstd.view(),
                           dweight.view(), partial.view());
    EXPECT_LT(relative_error(part(gradient.get_numbers()), expected_dx), bound());
    EXPECT_LT(relative_error(dweight.get_numbers(), expected_dweight), bound());
    EXPECT_EQ(number(gradient.get()[0]), dy[0]);
  });
}

TEST(RmsnormHeads, AreTheSameOnAnyNumberOfThreads) {
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
      kF32Bound);
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
    EXPECT_LT(relative_error(normed({gradient.begin(), gradient.end()}, 30), expected_dx),
              kF32Bound);
    EXPECT_LT(relative_error(dweight, expected_dweight), kF32Bound);
    EXPECT_EQ(gradient[0], static_cast<float>(dy[0]));
    if (threads == 1) first = dweight;
    EXPECT_EQ(dweight, first);
  });
}

TEST(RmsnormReference, ItsGradientsAreTheDifferences) {
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
