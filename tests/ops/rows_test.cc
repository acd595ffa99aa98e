// Embedding, gathering and scattering rows, residual sums.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/ops_test_tools.h"

namespace nativo::ops {
namespace {

TEST(Embedding, TakesRowsAndSumsTheirGradients) {
  const std::vector<float> table = to_f32(normal_numbers(50 * 7, 1));
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 300; ++i) tokens.push_back(i * i % 50);
  std::vector<float> y(300 * 7);
  embedding_forward(view(table, {50, 7}), tokens, view(y, {300, 7}));
  const auto dy = normal_numbers(300 * 7, 2);
  std::vector<double> expected(50 * 7, 1.0);
  for (std::size_t i = 0; i < 300; ++i) {
    for (std::size_t c = 0; c < 7; ++c) {
      const std::size_t at = static_cast<std::size_t>(tokens[i]) * 7 + c;
      EXPECT_EQ(y[i * 7 + c], table[at]);
      expected[at] += dy[i * 7 + c];
    }
  }
  std::vector<float> first;
  on_threads([&](int threads) {
    std::vector<float> dtable(50 * 7, 1.0F);
    embedding_backward(view(to_f32(dy), {300, 7}), tokens, view(dtable, {50, 7}));
    EXPECT_LT(relative_error(dtable, expected), kF32Bound);
    if (threads == 1) first = dtable;
    EXPECT_EQ(dtable, first);
  });
}

TEST(Rows, ScatterPutsBackWhatGatherTook) {
  const std::vector<float> from = to_f32(normal_numbers(200 * 3, 1));
  std::vector<std::int32_t> rows;
  for (std::int32_t i = 1; i < 200; i += 2) rows.push_back(i);
  std::vector<float> part(100 * 3);
  gather_rows(view(from, {200, 3}), rows, view(part, {100, 3}));
  std::vector<float> back(200 * 3, 5.0F);
  scatter_rows(view(std::as_const(part), {100, 3}), rows, view(back, {200, 3}));
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i], i / 3 % 2 == 1 ? from[i] : 5.0F);
  }
  set_zero(view(back, {200, 3}));
  EXPECT_EQ(back, std::vector<float>(200 * 3, 0.0F));
}

TEST(Bias, IsAddedToEveryRowAndSumsTheirGradients) {
  const auto x = normal_numbers(150 * 70, 1);
  const auto bias = normal_numbers(70, 2);
  std::vector<float> y = to_f32(x);
  add_bias(view(y, {150, 70}), view(to_f32(bias), {70}));
  std::vector<double> sum(70, 1.0);
  for (std::size_t i = 0; i < y.size(); ++i) {
    EXPECT_EQ(y[i], static_cast<float>(x[i]) + static_cast<float>(bias[i % 70]));
    sum[i % 70] += x[i];
  }
  on_threads([&](int) {
    std::vector<float> dbias(70, 1.0F);
    bias_backward(view(to_f32(x), {150, 70}), view(dbias, {70}));
    EXPECT_LT(relative_error(dbias, sum), kF32Bound);
  });
}

TEST(Rows, CopyColumnsTakesTheFirst) {
  const std::vector<float> from = to_f32(normal_numbers(150 * 7, 1));
  std::vector<float> to(150 * 3);
  copy_columns(view(from, {150, 7}), view(to, {150, 3}));
  for (std::size_t i = 0; i < to.size(); ++i) EXPECT_EQ(to[i], from[i / 3 * 7 + i % 3]);
}

TEST(Add, SumsEveryElement) {
  std::vector<float> a = to_f32(normal_numbers(40001, 1));
  const std::vector<float> before = a;
  const std::vector<float> b = to_f32(normal_numbers(40001, 2));
  add(view(std::as_const(a), {40001}), view(b, {40001}), view(a, {40001}));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], before[i] + b[i]);
}

}  // namespace
}  // namespace nativo::ops
