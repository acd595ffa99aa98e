#include "ops/attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/device_test_tools.h"
#include "reference/attention.h"

namespace nativo::ops {
namespace {

struct Case {
  AttentionShape shape;
  std::int32_t window;
  std::int32_t document;  ///< a new one starts every so many tokens
};

/// Groups of 1, 2, 3 and 4; head sizes that fill vectors and that do not; rows within a tile, of
/// many tiles, and longer than a block of keys; the last tenth of a row is padding.
const std::vector<Case> kCases{{{1, 5, 1, 1, 2}, 100, 100},    {{2, 40, 4, 2, 6}, 7, 100},
                               {{1, 130, 3, 1, 32}, 50, 37},   {{2, 300, 6, 2, 32}, 256, 120},
                               {{1, 600, 4, 4, 16}, 600, 600}, {{1, 700, 4, 1, 8}, 280, 600}};

std::vector<std::int32_t> first_keys(const Case& test) {
  std::vector<std::int32_t> first;
  for (std::int64_t i = 0; i < test.shape.rows * test.shape.length; ++i) {
    const auto t = static_cast<std::int32_t>(i % test.shape.length);
    const bool padding = t >= test.shape.length - test.shape.length / 10;
    first.push_back(padding ? t + 1
                            : std::max(t / test.document * test.document, t - test.window + 1));
  }
  return first;
}

reference::AttentionSizes sizes_of(const AttentionShape& shape) {
  return {static_cast<std::size_t>(shape.rows), static_cast<std::size_t>(shape.length),
          static_cast<std::size_t>(shape.heads), static_cast<std::size_t>(shape.kv_heads),
          static_cast<std::size_t>(shape.head_dim)};
}

struct Outputs {
  std::vector<float> out, lse, dqkv;
};

Outputs run(const Case& test, const std::vector<float>& qkv, const std::vector<float>& dout) {
  const AttentionShape& shape = test.shape;
  const std::int64_t tokens = shape.rows * shape.length;
  const std::int64_t width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  const std::int64_t out_width = shape.heads * shape.head_dim;
  const auto first = first_keys(test);
  Outputs result{std::vector<float>(dout.size(), 9.0F),
                 std::vector<float>(static_cast<std::size_t>(tokens * shape.heads)),
                 std::vector<float>(qkv.size(), 9.0F)};
  std::vector<float> workspace(static_cast<std::size_t>(attention_workspace(shape)));
  const View<float> scratch = view(workspace, {attention_workspace(shape)});
  attention_forward(shape, view(qkv, {tokens, width}), first, view(result.out, {tokens, out_width}),
                    view(result.lse, {tokens, shape.heads}), scratch);
  attention_backward(shape, view(qkv, {tokens, width}), first,
                     view(result.out, {tokens, out_width}), view(dout, {tokens, out_width}),
                     view(result.lse, {tokens, shape.heads}), view(result.dqkv, {tokens, width}),
                     scratch);
  return result;
}

/// Head sizes for tensor cores, in rows that are no whole tiles: windows, documents, groups.
const std::vector<Case> kGpuCases{{{1, 5, 1, 1, 2}, 100, 100},   {{2, 40, 4, 2, 6}, 7, 100},
                                  {{1, 130, 3, 1, 32}, 50, 37},  {{2, 70, 2, 1, 64}, 100, 100},
                                  {{1, 200, 2, 2, 64}, 70, 150}, {{1, 150, 2, 1, 128}, 40, 90}};

class Attention : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Attention, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(Attention, ForwardAndGradientAgreeWithTheReference) {
  with_type([&]<class T>(T) {
    for (const Case& test : device().is_cuda() ? kGpuCases : kCases) {
      const AttentionShape& shape = test.shape;
      const auto sizes = sizes_of(shape);
      const std::int64_t tokens = shape.rows * shape.length;
      const std::int64_t width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
      const std::int64_t out_width = shape.heads * shape.head_dim;
      const auto qkv = numbers(static_cast<std::size_t>(tokens * width), 1);
      const auto dout = numbers(static_cast<std::size_t>(tokens * out_width), 2);
      const auto first = first_keys(test);
      On<T> on_qkv(device(), qkv, {tokens, width});
      On<T> on_dout(device(), dout, {tokens, out_width});
      On<std::int32_t> on_first(device(), first, {tokens});
      On<T> out(device(), {tokens, out_width});
      On<float> lse(device(), {tokens, shape.heads});
      On<float> workspace(device(), {attention_workspace(shape, device())});
      attention_forward(shape, on_qkv.read(), on_first.span(), out.view(), lse.view(),
                        workspace.view());
      // On tensor cores the weights are rounded to bf16, too.
      EXPECT_LT(relative_error(out.get_numbers(), reference::attention(sizes, qkv, first)), twice())
          << shape.length;
      On<T> dqkv(device(), {tokens, width});
      const auto backward = [&] {
        attention_backward(shape, on_qkv.read(), on_first.span(), out.read(), on_dout.read(),
                           lse.view(), dqkv.view(), workspace.view());
        return dqkv.get();
      };
      const std::vector<T> once = backward();
      EXPECT_LT(relative_error(dqkv.get_numbers(),
                               reference::attention_backward(sizes, qkv, first, dout)),
                2 * twice())
          << shape.length;
      EXPECT_EQ(backward(), once) << "twice the same bits";
    }
  });
}

TEST_P(Attention, CachedEqualsWholeRows) {
  with_type([&]<class T>(T) {
    const reference::AttentionSizes sizes{1, 300, 6, 2, 32};
    const auto qkv = numbers(300 * sizes.width(), 1);
    std::vector<std::int32_t> first;
    for (std::int32_t t = 0; t < 300; ++t) first.push_back(std::max(0, t - 199));
    const auto expected = reference::attention(sizes, qkv, first);
    const std::int64_t stride = key_cache_stride(400);
    std::vector<double> keys(static_cast<std::size_t>(2 * 32 * stride));
    std::vector<double> values(std::size_t{2} * 400 * 32);
    for (std::size_t t = 0; t < 300; ++t) {
      for (std::size_t head = 0; head < 2; ++head) {
        for (std::size_t i = 0; i < 32; ++i) {
          keys[(head * 32 + i) * static_cast<std::size_t>(stride) + t] =
              qkv[t * 320 + 192 + head * 32 + i];
          values[(head * 400 + t) * 32 + i] = qkv[t * 320 + 256 + head * 32 + i];
        }
      }
    }
    On<T> on_qkv(device(), qkv, {300, 320});
    On<T> on_keys(device(), keys, {2, 32, stride});
    On<T> on_values(device(), values, {2, 400, 32});
    On<std::int32_t> on_first(device(), first, {300});
    // The last queries, and the last alone.
    for (const std::int64_t past : {270, 299}) {
      const std::int64_t count = 300 - past;
      On<T> out(device(), {count, 192});
      attention_cached(6, on_qkv.read().rows(past, count), on_keys.read(), on_values.read(), past,
                       on_first.span().subspan(static_cast<std::size_t>(past)), out.view());
      EXPECT_LT(relative_error(out.get_numbers(),
                               std::span(expected).subspan(static_cast<std::size_t>(past * 192))),
                bound());
    }
  });
}

TEST(AttentionReference, ItsGradientIsTheDifference) {
  const Case test{{2, 6, 4, 2, 4}, 3, 4};
  const auto sizes = sizes_of(test.shape);
  const auto qkv = normal_numbers(12 * sizes.width(), 1);
  const auto dout = normal_numbers(std::size_t{12} * 16, 2);
  const auto first = first_keys(test);
  const auto by_qkv = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dout, reference::attention(sizes, v, first)); },
      qkv);
  EXPECT_LT(relative_error(reference::attention_backward(sizes, qkv, first, dout), by_qkv),
            kDifference);
}

TEST(CpuAttention, LargeScoresDoNotOverflow) {
  const Case test{{1, 40, 2, 1, 8}, 40, 40};
  auto qkv = normal_numbers(std::size_t{40} * 32, 1, 40.0);
  const auto dout = normal_numbers(std::size_t{40} * 16, 2);
  const Outputs result = run(test, to_f32(qkv), to_f32(dout));
  const auto expected = reference::attention(sizes_of(test.shape), qkv, first_keys(test));
  // Scores of some 4,000 carry an absolute error of 2e-4 into the exponent.
  EXPECT_LT(relative_error(result.out, expected), 1e-3);
}

TEST(CpuAttention, AnyNumberOfThreadsGivesTheSameBits) {
  const Case& test = kCases[3];
  const auto sizes = sizes_of(test.shape);
  const auto qkv = to_f32(normal_numbers(600 * sizes.width(), 1));
  const auto dout = to_f32(normal_numbers(600 * sizes.heads * sizes.dim, 2));
  Outputs expected;
  on_threads([&](int threads) {
    const Outputs result = run(test, qkv, dout);
    if (threads == 1) expected = result;
    EXPECT_TRUE(result.out == expected.out && result.dqkv == expected.dqkv);
  });
}

}  // namespace
}  // namespace nativo::ops
