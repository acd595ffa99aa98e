// Rows, embedding, the classifier, LoRA, quantised weights, dropout: on every device and element
// type.
#include <cmath>

#include "ops/cross_entropy.h"
#include "ops/device_test_tools.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/low_rank.h"
#include "ops/noise.h"
#include "ops/quantize.h"
#include "ops/quantized_gemm.h"
#include "reference/cross_entropy.h"
#include "reference/linear.h"

namespace nativo::ops {
namespace {

class EveryOp : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, EveryOp, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(EveryOp, RowsAreCopiedAndSummed) {
  with_type([&]<class T>(T) {
    for (const std::int64_t columns : {7, 24}) {
      const auto width = static_cast<std::size_t>(columns);
      const auto a = numbers(100 * width, 1);
      const auto b = numbers(100 * width, 2);
      const auto bias = numbers(width, 3);
      const Shape shape{100, columns};
      On<T> on_a(device(), a, shape);
      On<T> on_b(device(), b, shape);
      On<T> on_bias(device(), bias, {columns});
      On<T> sum(device(), shape);
      add(on_a.read(), on_b.read(), sum.view());
      std::vector<double> expected = a;
      for (std::size_t i = 0; i < a.size(); ++i) expected[i] += b[i];
      EXPECT_LT(relative_error(sum.get_numbers(), expected), bound());

      On<T> with_bias(device(), a, shape);
      add_bias(with_bias.view(), on_bias.read());
      On<T> dbias(device(), bias, {columns});
      bias_backward(on_a.read(), dbias.view());
      std::vector<double> column_sums = bias;
      for (std::size_t i = 0; i < a.size(); ++i) {
        expected[i] = a[i] + bias[i % width];
        column_sums[i % width] += a[i];
      }
      EXPECT_LT(relative_error(with_bias.get_numbers(), expected), bound());
      EXPECT_LT(relative_error(dbias.get_numbers(), column_sums), bound());

      std::vector<std::int32_t> rows;
      for (std::int32_t i = 99; i > 0; i -= 3) rows.push_back(i);
      const auto count = static_cast<std::int64_t>(rows.size());
      On<std::int32_t> on_rows(device(), rows, {count});
      On<T> part(device(), {count, columns});
      gather_rows(on_a.read(), on_rows.span(), part.view());
      On<T> back(device(), shape);
      scatter_rows(part.read(), on_rows.span(), back.view());
      const auto scattered = back.get_numbers();
      for (std::size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(scattered[i], i / width % 3 == 0 && i / width > 0 ? a[i] : 9.0) << i;
      }
      On<T> columns_of(device(), {100, 5});
      copy_columns(on_a.read(), columns_of.view());
      EXPECT_EQ(columns_of.get_numbers()[5 + 4], a[width + 4]);
      set_zero(back.view());
      EXPECT_EQ(back.get_numbers(), std::vector<double>(a.size(), 0.0));
    }
  });
}

TEST_P(EveryOp, EmbeddingTakesRowsAndSumsTheirGradients) {
  if (GetParam().device.is_cuda() || !GetParam().is_bf16) {
    with_type([&]<class T>(T) {
      for (const std::int64_t columns : {7, 1032}) {
        const auto width = static_cast<std::size_t>(columns);
        const auto table = numbers(20 * width, 1);
        const auto dy = numbers(150 * width, 2);
        std::vector<std::int32_t> tokens;
        for (std::int32_t i = 0; i < 150; ++i) tokens.push_back(i * i % 19);  // never the last
        On<std::int32_t> on_tokens(device(), tokens, {150});
        On<T> on_table(device(), table, {20, columns});
        On<T> y(device(), {150, columns});
        embedding_forward(on_table.read(), on_tokens.span(), y.view());
        std::vector<double> expected = table;
        const auto rows = y.get_numbers();
        for (std::size_t i = 0; i < 150; ++i) {
          for (std::size_t c = 0; c < width; ++c) {
            const std::size_t at = static_cast<std::size_t>(tokens[i]) * width + c;
            ASSERT_EQ(rows[i * width + c], table[at]);
            expected[at] += dy[i * width + c];
          }
        }
        On<T> on_dy(device(), dy, {150, columns});
        embedding_backward(on_dy.read(), on_tokens.span(), on_table.view());
        EXPECT_LT(relative_error(on_table.get_numbers(), expected), bound());
      }
    });
  }
}

TEST_P(EveryOp, TheClassifierAgreesWithTheReference) {
  with_type([&]<class T>(T) {
    for (const std::int64_t vocabulary : {1, 5, 100, 5000}) {
      const auto columns = static_cast<std::size_t>(vocabulary);
      const auto x = numbers(5 * columns, 1, 5.0);
      std::vector<std::int32_t> targets;
      for (std::int32_t i = 0; i < 5; ++i) {
        targets.push_back(static_cast<std::int32_t>(i * 31 % vocabulary));
      }
      On<std::int32_t> on_targets(device(), targets, {5});
      On<T> logits(device(), x, {5, vocabulary});
      On<double> log_prob(device(), {5});
      On<std::int32_t> argmax(device(), {5});
      cross_entropy_forward(logits.read(), on_targets.span(), log_prob.span(), argmax.span());
      const auto expected = reference::log_prob(x, targets, columns);
      EXPECT_LT(relative_error(log_prob.get(), expected), kF32Bound);
      for (std::size_t row = 0; row < 5; ++row) {
        const auto begin = x.begin() + static_cast<std::ptrdiff_t>(row * columns);
        EXPECT_EQ(argmax.get()[row], std::max_element(begin, begin + vocabulary) - begin);
      }
      On<double> loss(device(), {5});
      cross_entropy_forward_backward(logits.view(), on_targets.span(), {0.25F, 0.01, 0.1},
                                     log_prob.span(), loss.span());
      EXPECT_LT(relative_error(log_prob.get(), expected), kF32Bound);
      EXPECT_LT(
          relative_error(loss.get(), reference::smoothed_loss(x, targets, columns, 0.01, 0.1)),
          kF32Bound);
      On<T> plain(device(), x, {5, vocabulary});
      cross_entropy_forward_backward(plain.view(), on_targets.span(), {.scale = 0.25F},
                                     log_prob.span(), {});
      EXPECT_LT(relative_error(plain.get_numbers(),
                               reference::cross_entropy_backward(x, targets, columns, 0.25)),
                bound());
      if (vocabulary == 1) continue;  // its gradient is the z-loss's alone
      const double scale = 0.25;
      std::vector<double> gradient(x.size());
      for (std::size_t row = 0; row < 5; ++row) {
        double sum = 0.0;
        for (std::size_t i = 0; i < columns; ++i) sum += std::exp(x[row * columns + i]);
        for (std::size_t i = 0; i < columns; ++i) {
          const double p = std::exp(x[row * columns + i]) / sum;
          const double hot = static_cast<std::size_t>(targets[row]) == i ? 0.9 : 0.0;
          gradient[row * columns + i] =
              scale * (p * (1.0 + 0.02 * std::log(sum)) - hot - 0.1 / static_cast<double>(columns));
        }
      }
      EXPECT_LT(relative_error(logits.get_numbers(), gradient), bound());
    }
  });
}

TEST_P(EveryOp, LowRankIsTheProductOfItsFactors) {
  with_type([&]<class T>(T) {
    constexpr std::size_t kRows = 9;
    constexpr std::size_t kInputs = 33;
    constexpr std::size_t kOutputs = 20;
    constexpr std::size_t kRank = 4;
    const auto x = numbers(kRows * kInputs, 1);
    const auto a = numbers(kRank * kInputs, 2);
    const auto b = numbers(kOutputs * kRank, 3);
    const auto dy = numbers(kRows * (kOutputs + 5), 4);
    std::vector<double> weight((kOutputs + 5) * kInputs, 0.0);
    for (std::size_t o = 0; o < kOutputs; ++o) {
      for (std::size_t r = 0; r < kRank; ++r) {
        for (std::size_t i = 0; i < kInputs; ++i) {
          weight[(3 + o) * kInputs + i] += 0.5 * b[o * kRank + r] * a[r * kInputs + i];
        }
      }
    }
    On<T> on_x(device(), x, {9, 33});
    On<T> on_a(device(), a, {4, 33});
    On<T> on_b(device(), b, {20, 4});
    On<T> y(device(), dy, {9, 25});
    On<T> on_dy(device(), dy, {9, 25});
    On<T> hidden(device(), {9, 4});
    const LowRankOf<T> adapter{on_a.read(), on_b.read(), 3, 0.5F};
    low_rank_forward(on_x.read(), adapter, hidden.view(), y.view());
    auto expected = reference::linear(x, weight, kRows, kOutputs + 5, kInputs);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += dy[i];
    EXPECT_LT(relative_error(y.get_numbers(), expected), twice());
    On<T> dx(device(), {9, 33});
    low_rank_backward_input(on_dy.read(), adapter, hidden.view(), dx.view(), Write::kOverwrite);
    EXPECT_LT(relative_error(dx.get_numbers(),
                             reference::linear_dx(dy, weight, kRows, kOutputs + 5, kInputs)),
              twice());
    const auto dweight = reference::linear_dweight(dy, x, kRows, kOutputs + 5, kInputs);
    std::vector<double> expected_da(a.size(), 0.0);
    std::vector<double> expected_db(b.size(), 0.0);
    for (std::size_t o = 0; o < kOutputs; ++o) {
      for (std::size_t r = 0; r < kRank; ++r) {
        for (std::size_t i = 0; i < kInputs; ++i) {
          const double dw = 0.5 * dweight[(3 + o) * kInputs + i];
          expected_da[r * kInputs + i] += dw * b[o * kRank + r];
          expected_db[o * kRank + r] += dw * a[r * kInputs + i];
        }
      }
    }
    On<T> da(device(), std::vector<float>(a.size(), 0.0F), {4, 33});
    On<T> db(device(), std::vector<float>(b.size(), 0.0F), {20, 4});
    low_rank_backward_weight(on_dy.read(), on_x.read(), adapter, hidden.view(), da.view(),
                             db.view());
    EXPECT_LT(relative_error(da.get_numbers(), expected_da), twice());
    EXPECT_LT(relative_error(db.get_numbers(), expected_db), twice());
  });
}

/// A quantised matrix, made on the CPU and brought to a device.
struct Parts {
  Parts(const std::vector<double>& weight, QuantFormat format, ScaleFormat scale_format,
        std::int64_t row_count, std::int64_t column_count)
      : shapes(quantized_shapes(format, scale_format, row_count, column_count)),
        codes(static_cast<std::size_t>(shapes.codes.elements())),
        scales(static_cast<std::size_t>(shapes.scales.elements())),
        scale_codes(static_cast<std::size_t>(shapes.scale_codes.elements())),
        ranges(static_cast<std::size_t>(shapes.scale_ranges.elements())),
        matrix{format,
               scale_format,
               row_count,
               column_count,
               view(codes, shapes.codes),
               view(scales, shapes.scales),
               view(scale_codes, shapes.scale_codes),
               view(ranges, shapes.scale_ranges)} {
    const std::vector<float> w = to_f32(weight);
    quantize(view(w, {row_count, column_count}), matrix);
  }
  QuantizedShapes shapes;
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> scale_codes;
  std::vector<float> ranges;
  QuantizedMatrix matrix;
};

TEST_P(EveryOp, QuantisedWeightsAreTheCpusAndMultiply) {
  with_type([&]<class T>(T) {
    for (const std::int64_t inputs : {1, 65, 200, 256}) {
      const auto width = static_cast<std::size_t>(inputs);
      const auto weight = normal_numbers(37 * width, 1, 0.02);
      const auto x = numbers(5 * width, 2);
      const auto dy = numbers(5 * 37, 3);
      for (const QuantFormat format : {QuantFormat::kInt8, QuantFormat::kNf4}) {
        for (const ScaleFormat scale_format : {ScaleFormat::kF32, ScaleFormat::kDouble}) {
          Parts parts(weight, format, scale_format, 37, inputs);
          std::vector<float> exact(37 * width);
          dequantize_rows(parts.matrix, 0, view(exact, {37, inputs}));
          On<std::uint8_t> codes(device(), parts.codes, parts.shapes.codes);
          On<float> scales(device(), parts.scales, parts.shapes.scales);
          On<std::uint8_t> scale_codes(device(), parts.scale_codes, parts.shapes.scale_codes);
          On<float> ranges(device(), parts.ranges, parts.shapes.scale_ranges);
          const QuantizedMatrix matrix{
              format,        scale_format,       37,           inputs, codes.view(),
              scales.view(), scale_codes.view(), ranges.view()};
          On<T> rows(device(), {30, inputs});
          dequantize_rows(matrix, 5, rows.view());
          const auto got = rows.get();
          std::vector<double> rounded(37 * width);
          for (std::size_t i = 0; i < exact.size(); ++i) rounded[i] = number(element<T>(exact[i]));
          for (std::size_t i = 0; i < got.size(); ++i) {
            ASSERT_EQ(number(got[i]), rounded[5 * width + i]) << i;
          }
          On<T> on_x(device(), x, {5, inputs});
          On<T> on_dy(device(), dy, {5, 37});
          On<T> scratch(device(), {quantized_linear_scratch(37, inputs, device())});
          On<T> y(device(), {5, 37});
          quantized_linear_forward(on_x.read(), matrix, scratch.view(), y.view());
          EXPECT_LT(relative_error(y.get_numbers(), reference::linear(x, rounded, 5, 37, width)),
                    bound());
          On<T> dx(device(), {5, inputs});
          quantized_linear_backward_input(on_dy.read(), matrix, scratch.view(), dx.view(),
                                          Write::kOverwrite);
          EXPECT_LT(
              relative_error(dx.get_numbers(), reference::linear_dx(dy, rounded, 5, 37, width)),
              bound());
        }
      }
    }
  });
}

TEST_P(EveryOp, MasksAndNoiseAreTheCpus) {
  with_type([&]<class T>(T) {
    const auto x = numbers(40 * 101, 1);
    const std::vector<float> xf = to_f32(x);
    for (const std::uint64_t first : {0U, 3U, 8U}) {
      const RandomKey key{.seed = 7, .step = 3, .tensor = 2, .first_element = first};
      std::vector<float> expected(x.size());
      dropout(view(xf, {40, 101}), key, 0.3, view(expected, {40, 101}));
      On<T> on_x(device(), x, {40, 101});
      On<T> out(device(), {40, 101});
      dropout(on_x.read(), key, 0.3, out.view());
      const auto got = out.get();
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(number(got[i]), number(element<T>(expected[i]))) << i;
      }
      On<T> sum(device(), std::vector<float>(x.size(), 0.0F), {40, 101});
      dropout_add(on_x.read(), key, 0.3, sum.view());
      EXPECT_EQ(sum.get(), got);

      std::vector<float> noisy = xf;
      add_uniform_noise(view(noisy, {40, 101}), key, 0.5F);
      add_uniform_noise(on_x.view(), key, 0.5F);
      const auto its = on_x.get();
      for (std::size_t i = 0; i < its.size(); ++i) {
        ASSERT_EQ(number(its[i]), number(element<T>(noisy[i]))) << i;
      }
    }
  });
}

TEST_P(EveryOp, ConversionRoundsToNearestEven) {
  const auto x = normal_numbers(1001, 1);
  On<float> from(device(), x, {1001});
  On<bf16> to(device(), {1001});
  On<float> back(device(), {1001});
  convert(from.read(), to.view());
  convert(to.read(), back.view());
  const auto bits = to.get();
  const auto values = back.get();
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(bits[i].bits, tensor::f32_to_bf16(static_cast<float>(x[i])));
    ASSERT_EQ(values[i], tensor::to_f32(bits[i]));
  }
}

}  // namespace
}  // namespace nativo::ops
