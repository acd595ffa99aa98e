// AdamW and the norm as views, on every device: a GPU's update is the CPU's to the bit.
#include <hwy/targets.h>

#include <cmath>

#include "ops/adamw.h"
#include "ops/adamw_math.h"
#include "ops/device_test_tools.h"
#include "ops/global_norm.h"
#include "reference/adamw.h"

namespace nativo::ops {
namespace {

class OptimizerOps : public OnEveryDevice {
 protected:
  /// The bits are equal where the CPU has fused multiply-add, which its baseline has not.
  [[nodiscard]] static bool has_fma() {
    return (hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) != 0;
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, OptimizerOps, testing::ValuesIn(arithmetics()), arithmetic_name);

constexpr RoundingNoise kNoise{.seed = 0x123456789ABCDEF0, .tensor = 7, .first = 128 * 5};

/// What `value` is after bf16's stochastic rounding of element `i` at `step`; itself in f32.
template <class T>
double stored(float value, std::int64_t step, std::size_t i) {
  if constexpr (sizeof(T) == 4) return value;
  const std::uint32_t word = reference::rounding_bits(kNoise, step, i + 128 * 5);
  return tensor::bf16_to_f32(round_stochastically(value, value_noise(word)));
}

TEST_P(OptimizerOps, AdamwIsTheCpus) {
  if (!has_fma()) GTEST_SKIP() << "this CPU has no fused multiply-add";
  with_type([&]<class T>(T) {
    for (const std::int64_t count : {1, 63, 64, 300, 20000}) {
      const auto size = static_cast<std::size_t>(count);
      const std::int64_t blocks = moment_blocks(count);
      const auto start = numbers(size, 1);
      // The CPU's state, one a kind of moments; the values as the device stores them.
      std::vector<std::vector<float>> value(3, to_f32(start));
      std::vector<float> m(size);
      std::vector<float> v(size);
      std::vector<std::uint16_t> m16(size);
      std::vector<std::uint16_t> v16(size);
      std::vector<std::int8_t> m8(size);
      std::vector<std::uint8_t> v8(size);
      std::vector<float> m_scale(static_cast<std::size_t>(blocks));
      std::vector<float> v_scale(m_scale.size());
      On<T> on_value[3] = {
          {device(), start, {count}}, {device(), start, {count}}, {device(), start, {count}}};
      On<float> on_m(device(), m, {count});
      On<float> on_v(device(), v, {count});
      On<bf16> on_m16(device(), m, {count});
      On<bf16> on_v16(device(), v, {count});
      On<std::int8_t> on_m8(device(), m8, {count});
      On<std::uint8_t> on_v8(device(), v8, {count});
      On<float> on_m_scale(device(), m_scale, {blocks});
      On<float> on_v_scale(device(), v_scale, {blocks});
      AdamW options{.lr = 0.01F, .weight_decay = 0.1F, .gradient_scale = 2.0F};
      for (options.step = 1; options.step <= 3; ++options.step) {
        const auto gradient = numbers(size, 10 + static_cast<std::uint64_t>(options.step));
        const std::vector<float> g = to_f32(gradient);
        On<T> on_g(device(), gradient, {count});
        adamw(options, value[0], g, m, v);
        adamw(options, kNoise, value[1], g, m16, v16);
        adamw(options, kNoise, value[2], g, Int8Moments{m8, m_scale, v8, v_scale});
        for (auto& values : value) {
          for (std::size_t i = 0; i < size; ++i) {
            values[i] = static_cast<float>(stored<T>(values[i], options.step, i));
          }
        }
        if constexpr (sizeof(T) == 4) {
          adamw(options, on_value[0].view(), on_g.read(), on_m.view(), on_v.view());
        } else {
          adamw(options, kNoise, on_value[0].view(), on_g.read(), on_m.view(), on_v.view());
        }
        adamw(options, kNoise, on_value[1].view(), on_g.read(), on_m16.view(), on_v16.view());
        adamw(options, kNoise, on_value[2].view(), on_g.read(),
              Int8MomentViews{on_m8.view(), on_m_scale.view(), on_v8.view(), on_v_scale.view()});
      }
      for (std::size_t kind = 0; kind < 3; ++kind) {
        const auto got = on_value[kind].get_numbers();
        for (std::size_t i = 0; i < size; ++i)
          ASSERT_EQ(got[i], value[kind][i]) << kind << " " << i;
      }
      EXPECT_EQ(on_m.get(), m);
      EXPECT_EQ(on_v.get(), v);
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(on_m16.get()[i].bits, m16[i]) << i;
        ASSERT_EQ(on_v16.get()[i].bits, v16[i]) << i;
        if (count > 1000 && i > 300) break;
      }
      EXPECT_EQ(on_m8.get(), m8);
      EXPECT_EQ(on_v8.get(), v8);
      EXPECT_EQ(on_m_scale.get(), m_scale);
      EXPECT_EQ(on_v_scale.get(), v_scale);
    }
  });
}

TEST_P(OptimizerOps, SquaresAreSummedInPieces) {
  with_type([&]<class T>(T) {
    const auto x = numbers(40003, 1);
    double sum = 0.0;
    for (const double value : x) sum += value * value;
    On<T> on_x(device(), x, {40003});
    const auto pieces = static_cast<std::int64_t>(norm_pieces(x.size()));
    On<double> sums(device(), {pieces});
    sums_of_squares(on_x.read(), sums.view());
    double total = 0.0;
    for (const double piece : sums.get()) total += piece;
    EXPECT_NEAR(total / sum, 1.0, 1e-13);  // f64 additions in another order
  });
}

/// The words that round a value are not those that round its moments.
TEST(ValueNoise, IsUniformAndApartFromTheMomentsNoise) {
  double mean = 0.0;
  double with_low = 0.0;
  double with_high = 0.0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const std::uint32_t word = reference::rounding_bits(kNoise, 3, static_cast<std::size_t>(i));
    const double noise = value_noise(word) / 65536.0 - 0.5;
    mean += noise / kCount;
    with_low += 12.0 * noise * ((word & 0xFFFFU) / 65536.0 - 0.5) / kCount;
    with_high += 12.0 * noise * ((word >> 16) / 65536.0 - 0.5) / kCount;
  }
  // Five standard deviations of a mean of 100,000.
  EXPECT_NEAR(mean, 0.0, 5 * 0.29 / std::sqrt(kCount));
  EXPECT_NEAR(with_low, 0.0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(with_high, 0.0, 5 / std::sqrt(kCount));
}

}  // namespace
}  // namespace nativo::ops
