// AdamW with moments of every type, and the sum of squares.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/adamw.h"
#include "ops/global_norm.h"
#include "ops/ops_test_tools.h"
#include "reference/adamw.h"
#include "tensor/dtype.h"

namespace nativo::ops {
namespace {

constexpr AdamW kOptions{.lr = 0.01F,
                         .beta1 = 0.9F,
                         .beta2 = 0.95F,
                         .eps = 1e-8F,
                         .weight_decay = 0.1F,
                         .gradient_scale = 0.5F};
constexpr RoundingNoise kNoise{.seed = 0x123456789ABCDEF0, .tensor = 7};

/// 8-bit moments and their memory.
struct Int8State {
  explicit Int8State(std::size_t count)
      : m(count),
        m_scale(static_cast<std::size_t>(moment_blocks(static_cast<std::int64_t>(count)))),
        v(count),
        v_scale(m_scale.size()) {}
  std::vector<std::int8_t> m;
  std::vector<float> m_scale;
  std::vector<std::uint8_t> v;
  std::vector<float> v_scale;

  Int8Moments view() { return {m, m_scale, v, v_scale}; }
  double first(std::size_t i) const { return reference::int8_first(m[i], m_scale[i / 128]); }
  double second(std::size_t i) const { return reference::int8_second(v[i], v_scale[i / 128]); }
  bool operator==(const Int8State&) const = default;
};

std::vector<float> gradients(std::size_t count, std::int64_t step) {
  return to_f32(normal_numbers(count, 10 + static_cast<std::uint64_t>(step)));
}

TEST(Adamw, AgreesWithThePlainFormula) {
  for (const std::size_t count : {1U, 15U, 16U, 33U, 70000U}) {
    auto value = normal_numbers(count, 1);
    std::vector<double> m(count, 0.0);
    std::vector<double> v(count, 0.0);
    std::vector<float> value_f = to_f32(value);
    std::vector<float> m_f(count, 0.0F);
    std::vector<float> v_f(count, 0.0F);
    AdamW options = kOptions;
    for (options.step = 1; options.step <= 5; ++options.step) {
      const std::vector<float> gradient = gradients(count, options.step);
      for (std::size_t i = 0; i < count; ++i) {
        reference::adamw(options, value[i], gradient[i], m[i], v[i]);
      }
      adamw(options, value_f, gradient, m_f, v_f);
    }
    EXPECT_LT(relative_error(value_f, value), kF32Bound);
    EXPECT_LT(relative_error(m_f, m), kF32Bound);
    EXPECT_LT(relative_error(v_f, v), kF32Bound);
  }
}

TEST(Adamw, MomentsOfUnusedRowsDecayToZero) {
  std::vector<float> value{1.0F};
  std::vector<float> m{1e-3F};
  std::vector<float> v{1e-6F};
  AdamW options;
  for (int i = 0; i < 3000; ++i) {
    adamw(options, value, std::vector<float>{0.0F}, m, v);
    ASSERT_FALSE(std::fpclassify(m[0]) == FP_SUBNORMAL || std::fpclassify(v[0]) == FP_SUBNORMAL);
  }
  EXPECT_EQ(m[0], 0.0F);
  EXPECT_EQ(v[0], 0.0F);
}

// Each step is compared from the same stored state: what is left is f32's rounding of the value,
// and of the moments exactly the choice between two neighbours that the noise makes.
TEST(AdamwBf16, RoundsTheMomentsAsTheNoiseSays) {
  on_instruction_sets([](const char* name) {
    for (const std::size_t count : {1U, 63U, 64U, 100U, 70000U}) {
      std::vector<float> value = to_f32(normal_numbers(count, 1));
      std::vector<std::uint16_t> m(count);
      std::vector<std::uint16_t> v(count);
      AdamW options = kOptions;
      for (options.step = 1; options.step <= 4; ++options.step) {
        const std::vector<float> gradient = gradients(count, options.step);
        // The f32 kernel from the same state gives the moments before rounding, to the bit.
        std::vector<float> value_f = value;
        std::vector<float> m_f(count);
        std::vector<float> v_f(count);
        tensor::bf16_to_f32(m, m_f);
        tensor::bf16_to_f32(v, v_f);
        adamw(options, value_f, gradient, m_f, v_f);
        adamw(options, kNoise, value, gradient, m, v);
        EXPECT_EQ(value, value_f) << name;
        for (std::size_t i = 0; i < count; ++i) {
          const std::uint32_t bits = reference::rounding_bits(kNoise, options.step, i);
          const auto m_bits = std::bit_cast<std::uint32_t>(m_f[i]);
          const auto v_bits = std::bit_cast<std::uint32_t>(v_f[i]);
          ASSERT_EQ(m[i], (m_bits + (bits & 0xFFFF)) >> 16) << name << " " << i;
          ASSERT_EQ(v[i], (v_bits + (bits >> 16)) >> 16) << name << " " << i;
        }
      }
    }
  });
}

TEST(AdamwBf16, ManySmallChangesAddUp) {
  // v rises by 1e-4 of itself a step, far below bf16's 4e-3: rounding to nearest would never move.
  constexpr std::size_t kCount = 4096;
  std::vector<float> value(kCount, 1.0F);
  std::vector<std::uint16_t> m(kCount, tensor::f32_to_bf16(1.0F));
  std::vector<std::uint16_t> v(kCount, tensor::f32_to_bf16(1.0F));
  const std::vector<float> gradient(kCount, std::sqrt(1.1F));
  AdamW options{.beta1 = 0.9F, .beta2 = 0.999F};
  for (options.step = 1; options.step <= 500; ++options.step) {
    adamw(options, kNoise, value, gradient, m, v);
  }
  double mean = 0.0;
  for (const std::uint16_t one : v) mean += tensor::bf16_to_f32(one) / double{kCount};
  const double expected = 1.1 - 0.1 * std::pow(0.999, 500);
  // The rounding's standard deviation is at most half of 2^-7, summed as a walk with decay,
  // over 64.
  EXPECT_NEAR(mean, expected, 4 * 0.004 * std::sqrt(500.0) / 64);
}

void expect_the_chosen_codes() {
  for (const std::size_t count : {1U, 100U, 128U, 300U, 40000U}) {
    std::vector<float> value = to_f32(normal_numbers(count, 1));
    Int8State state(count);
    AdamW options = kOptions;
    for (options.step = 1; options.step <= 4; ++options.step) {
      const std::vector<float> gradient = gradients(count, options.step);
      std::vector<double> value_d(value.begin(), value.end());
      std::vector<double> m(count);
      std::vector<double> v(count);
      for (std::size_t i = 0; i < count; ++i) {
        m[i] = state.first(i);
        v[i] = state.second(i);
        reference::adamw(options, value_d[i], gradient[i], m[i], v[i]);
      }
      adamw(options, kNoise, value, gradient, state.view());
      ASSERT_LT(relative_error(value, value_d), kF32Bound);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t begin = i / 128 * 128;
        const std::size_t end = std::min(begin + 128, count);
        double most_m = 0.0;
        double most_v = 0.0;
        for (std::size_t j = begin; j < end; ++j) {
          most_m = std::max(most_m, std::abs(m[j]));
          most_v = std::max(most_v, v[j]);
        }
        ASSERT_NEAR(state.m_scale[i / 128], most_m, 1e-6 * most_m);
        ASSERT_NEAR(state.v_scale[i / 128], most_v, 1e-6 * most_v);
        const std::uint32_t bits = reference::rounding_bits(kNoise, options.step, i);
        const auto choice = [](double exact, double below, double above, std::uint32_t sixteen) {
          return (sixteen + 0.5) / 65536.0 - (exact - below) / (above - below);
        };
        // The code below: exact arithmetic; f32 may differ where the choice is a matter of 1e-3.
        const int k = std::min(126, static_cast<int>(127 * std::sqrt(std::abs(m[i]) / most_m)));
        const double chance = choice(std::abs(m[i]), reference::int8_first(k, most_m),
                                     reference::int8_first(k + 1, most_m), bits & 0xFFFF);
        const int expected_m = chance < 0.0 ? k + 1 : k;
        if (std::abs(chance) > 1e-3) {
          ASSERT_EQ(state.m[i], m[i] < 0.0 ? -expected_m : expected_m) << i;
        }
        const int q = std::min(254, static_cast<int>(255 * std::pow(v[i] / most_v, 0.25)));
        const double chance_v = choice(v[i], reference::int8_second(q, most_v),
                                       reference::int8_second(q + 1, most_v), bits >> 16);
        if (std::abs(chance_v) > 1e-3) {
          ASSERT_EQ(state.v[i], std::max(v[i] > 0.0 ? 1 : 0, chance_v < 0.0 ? q + 1 : q)) << i;
        }
      }
    }
  }
}

TEST(AdamwInt8, StoresTheNeighbouringCodesThatTheNoiseChooses) {
  on_instruction_sets([](const char* name) {
    SCOPED_TRACE(name);
    expect_the_chosen_codes();
  });
}

TEST(AdamwInt8, ASmallSecondMomentNeverBecomesZero) {
  // Beside a gradient of 1, one of 1e-7: v is 1e-14 of the largest. As 0 it would be divided by
  // eps.
  std::vector<float> value(128, 0.0F);
  std::vector<float> gradient(128, 1e-7F);
  gradient[0] = 1.0F;
  Int8State state(128);
  AdamW options{.lr = 1e-3F};
  for (options.step = 1; options.step <= 100; ++options.step) {
    adamw(options, kNoise, value, gradient, state.view());
  }
  for (std::size_t i = 0; i < 128; ++i) {
    EXPECT_GT(state.v[i], 0);
    EXPECT_LE(std::abs(value[i]), 1.1 * 100 * 1e-3) << "no step above the learning rate";
  }
  // Without gradients, on the other hand, all of it decays to nothing.
  std::fill(gradient.begin(), gradient.end(), 0.0F);
  for (; options.step <= 5000; ++options.step) {
    adamw(options, kNoise, value, gradient, state.view());
  }
  EXPECT_EQ(state, Int8State(128));
}

TEST(AdamwInt8, TheRoundingHasNoBias) {
  // One element is the scale; the others hold a fixed number between two codes.
  constexpr std::size_t kCount = 128 * 256;
  std::vector<float> value(kCount, 0.0F);
  std::vector<float> gradient(kCount, 0.0123F);
  for (std::size_t i = 0; i < kCount; i += 128) gradient[i] = 1.0F;
  Int8State state(kCount);
  adamw({.step = 1, .beta1 = 0.0F, .beta2 = 0.0F}, kNoise, value, gradient, state.view());
  double m = 0.0;
  double v = 0.0;
  int kinds = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (i % 128 == 0) continue;
    m += state.first(i);
    v += state.second(i);
    kinds |= 1 << (state.v[i] % 4);
  }
  const double count = kCount / 128 * 127;
  EXPECT_EQ(std::popcount(static_cast<unsigned>(kinds)), 2) << "two neighbouring codes";
  // Neighbouring codes are 14 % of m and 15 % of v apart: half of that over the root of 32,512.
  EXPECT_NEAR(m / count, 0.0123, 4 * 0.0123 * 0.07 / std::sqrt(count));
  EXPECT_NEAR(v / count, 0.0123 * 0.0123, 4 * 0.0123 * 0.0123 * 0.08 / std::sqrt(count));
}

TEST(Adamw, AnyNumberOfThreadsGivesTheSameBits) {
  constexpr std::size_t kCount = 100003;
  std::vector<float> f32_value;
  std::vector<float> bf16_value;
  std::vector<float> int8_value;
  std::vector<std::uint16_t> m16;
  Int8State int8(0);
  on_threads([&](int threads) {
    std::vector<float> values[3];
    for (auto& each : values) each = to_f32(normal_numbers(kCount, 1));
    std::vector<float> m(kCount);
    std::vector<float> v(kCount);
    std::vector<std::uint16_t> first(kCount);
    std::vector<std::uint16_t> second(kCount);
    Int8State state(kCount);
    AdamW options = kOptions;
    for (options.step = 1; options.step <= 3; ++options.step) {
      const std::vector<float> gradient = gradients(kCount, options.step);
      adamw(options, values[0], gradient, m, v);
      adamw(options, kNoise, values[1], gradient, first, second);
      adamw(options, kNoise, values[2], gradient, state.view());
    }
    if (threads == 1) {
      f32_value = values[0];
      bf16_value = values[1];
      int8_value = values[2];
      m16 = first;
      int8 = state;
    }
    EXPECT_EQ(values[0], f32_value);
    EXPECT_EQ(values[1], bf16_value);
    EXPECT_EQ(values[2], int8_value);
    EXPECT_EQ(first, m16);
    EXPECT_EQ(state, int8);
  });
}

TEST(SumOfSquares, IsExactAndDoesNotDependOnThreads) {
  const auto x = normal_numbers(100003, 1);
  double expected = 0.0;
  for (const double value : x) expected += value * value;
  const std::vector<float> values = to_f32(x);
  double first = 0.0;
  on_threads([&](int threads) {
    const double sum = sum_of_squares(values);
    if (threads == 1) first = sum;
    EXPECT_EQ(sum, first);
    EXPECT_NEAR(sum / expected, 1.0, 1e-13);  // f64 additions in another order
  });
  EXPECT_EQ(sum_of_squares({}), 0.0);
  EXPECT_EQ(sum_of_squares(std::vector<float>{3.0F, 4e30F}), 9.0 + std::pow(double{4e30F}, 2));
}

}  // namespace
}  // namespace nativo::ops
