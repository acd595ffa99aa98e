// The smaller operations of inference: row_gemm, layer_norm, row_attention, activation,
// best_logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/activation.h"
#include "ops/best_logits.h"
#include "ops/layer_norm.h"
#include "ops/ops_test_tools.h"
#include "ops/row_attention.h"
#include "ops/row_gemm.h"
#include "reference/linear.h"

namespace nativo::ops {
namespace {

std::int64_t size(std::size_t value) { return static_cast<std::int64_t>(value); }

TEST(RowGemm, AgreesWithTheReferenceAndRowsStandAlone) {
  struct Sizes {
    std::size_t rows, outputs, inputs;
  };
  for (const auto& [rows, outputs, inputs] :
       std::vector<Sizes>{{1, 1, 1}, {1, 37, 70}, {29, 65, 33}, {17, 128, 64}}) {
    const auto x = normal_numbers(rows * inputs, 1);
    const auto w = normal_numbers(outputs * inputs, 2);
    const auto b = normal_numbers(outputs, 3);
    const auto xf = to_f32(x);
    const auto bf = to_f32(b);
    const auto wf = to_f32(w);
    const RowWeight weight(view(wf, {size(outputs), size(inputs)}));
    auto expected = reference::linear(x, w, rows, outputs, inputs);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = std::max(expected[i] + b[i % outputs], 0.0);
    }
    on_instruction_sets([&](const char* name) {
      std::vector<float> y(rows * outputs, 9.0F);
      row_linear(view(xf, {size(rows), size(inputs)}), weight, bf, Epilogue::kRelu, 0,
                 view(y, {size(rows), size(outputs)}));
      EXPECT_LT(relative_error(y, expected), kF32Bound) << name;
      for (std::size_t n = 0; n < rows; ++n) {
        std::vector<float> alone(outputs, 9.0F);
        row_linear(View<const float>(xf.data() + n * inputs, {1, size(inputs)}), weight, bf,
                   Epilogue::kRelu, 0, view(alone, {1, size(outputs)}));
        for (std::size_t j = 0; j < outputs; ++j) ASSERT_EQ(alone[j], y[n * outputs + j]) << name;
      }
      if (outputs <= 32) return;
      std::vector<float> part(rows * (outputs - 32), 9.0F);
      row_linear(view(xf, {size(rows), size(inputs)}), weight, bf, Epilogue::kRelu, 32,
                 view(part, {size(rows), size(outputs) - 32}));
      for (std::size_t j = 0; j < part.size(); ++j) {
        ASSERT_EQ(part[j], y[j / (outputs - 32) * outputs + 32 + j % (outputs - 32)]);
      }
    });
    const std::vector<std::int32_t> chosen{static_cast<std::int32_t>(outputs) - 1, 0};
    std::vector<float> some(rows * 2);
    row_linear(view(xf, {size(rows), size(inputs)}), weight.select(chosen), {}, Epilogue::kNone, 0,
               view(some, {size(rows), 2}));
    const auto bare = reference::linear(x, w, rows, outputs, inputs);
    for (std::size_t n = 0; n < rows; ++n) {
      EXPECT_NEAR(some[n * 2], bare[n * outputs + outputs - 1], 1e-4);
      EXPECT_NEAR(some[n * 2 + 1], bare[n * outputs], 1e-4);
    }
  }
}

TEST(LayerNorm, AgreesWithTheFormula) {
  for (const std::size_t columns : {1UL, 7UL, 64UL, 515UL}) {
    const std::size_t rows = 19;
    const auto x = normal_numbers(rows * columns, 1);
    const auto gamma = normal_numbers(columns, 2);
    const auto beta = normal_numbers(columns, 3);
    std::vector<double> expected;
    for (std::size_t n = 0; n < rows; ++n) {
      const auto row = x.begin() + size(n * columns);
      const double count = static_cast<double>(columns);
      const double mean = std::accumulate(row, row + size(columns), 0.0) / count;
      double variance = 0.0;
      for (std::size_t i = 0; i < columns; ++i)
        variance += (row[size(i)] - mean) * (row[size(i)] - mean);
      const double rstd = 1.0 / std::sqrt(variance / count + 1e-5);
      for (std::size_t i = 0; i < columns; ++i) {
        expected.push_back((row[size(i)] - mean) * rstd * gamma[i] + beta[i]);
      }
    }
    const auto gf = to_f32(gamma);
    const auto bf = to_f32(beta);
    on_instruction_sets([&](const char* name) {
      std::vector<float> y = to_f32(x);
      const Shape shape{size(rows), size(columns)};
      layer_norm_forward(View<const float>(y.data(), shape), view(gf, {size(columns)}),
                         view(bf, {size(columns)}), 1e-5F, view(y, shape));
      // A single column has no variance: (x - x) * 316 is 0 but for the rounding of x^2 - x * x.
      EXPECT_LT(relative_error(y, expected), columns == 1 ? 1e-3 : 1e-5) << name;
    });
  }
}

TEST(RowAttention, AgreesWithTheFormula) {
  const std::size_t heads = 3;
  const std::size_t head = 5;
  const std::size_t width = heads * head;
  const std::int64_t most = 2;
  for (const std::size_t count : {1UL, 4UL, 37UL}) {
    const auto q = normal_numbers(width, 1);
    const auto k = normal_numbers(count * width, 2);
    const auto v = normal_numbers(count * width, 3);
    const auto rk = normal_numbers(5 * head, 4);
    const auto rv = normal_numbers(5 * head, 5);
    const auto qf = to_f32(q);
    const auto kf = to_f32(k);
    const auto vf = to_f32(v);
    const auto rkf = to_f32(rk);
    const auto rvf = to_f32(rv);
    std::vector<const float*> keys;
    std::vector<const float*> values;
    for (std::size_t j = 0; j < count; ++j) {
      keys.push_back(kf.data() + j * width);
      values.push_back(vf.data() + j * width);
    }
    const std::int64_t position = size(count) / 2;
    for (const bool relative : {false, true}) {
      std::vector<double> expected(width, 0.0);
      std::vector<double> softmax;
      for (std::size_t h = 0; h < heads; ++h) {
        std::vector<double> w(count, 0.0);
        const auto place = [&](std::size_t j) {
          return static_cast<std::size_t>(std::clamp(size(j) - position, -most, most) + most) *
                 head;
        };
        for (std::size_t j = 0; j < count; ++j) {
          for (std::size_t i = 0; i < head; ++i) {
            const double key = k[j * width + h * head + i] + (relative ? rk[place(j) + i] : 0.0);
            w[j] += 0.5 * q[h * head + i] * key;
          }
        }
        double sum = 0.0;
        for (const double value : w) sum += std::exp(value);
        for (std::size_t j = 0; j < count; ++j) {
          w[j] = std::exp(w[j]) / sum;
          softmax.push_back(w[j]);
          for (std::size_t i = 0; i < head; ++i) {
            const double value = v[j * width + h * head + i] + (relative ? rv[place(j) + i] : 0.0);
            expected[h * head + i] += w[j] * value;
          }
        }
      }
      RowAttention shape{size(heads), size(head), 0.5F, {}};
      if (relative) shape.relative = {rkf.data(), rvf.data(), most};
      on_instruction_sets([&](const char* name) {
        const auto stride = static_cast<std::size_t>(attention_stride(count));
        std::vector<float> weights(heads * stride, 9.0F);
        std::vector<float> out(width, 9.0F);
        // Three queries, the middle one's result the same as alone.
        std::vector<float> beside(2 * width, 9.0F);
        std::vector<float> weights_beside(2 * weights.size(), 9.0F);
        const AttentionQuery queries[] = {
            {vf.data(), 0, weights_beside.data(), beside.data()},
            {qf.data(), position, weights.data(), out.data()},
            {kf.data(), size(count), weights_beside.data() + weights.size(),
             beside.data() + width}};
        row_attention(shape, queries, keys, values);
        std::vector<float> alone(width, 9.0F);
        const AttentionQuery one{qf.data(), position, weights_beside.data(), alone.data()};
        row_attention(shape, {&one, 1}, keys, values);
        EXPECT_EQ(out, alone) << name;
        EXPECT_LT(relative_error(out, expected), kF32Bound) << name;
        for (std::size_t h = heads; h-- > 0;) {
          for (std::size_t j = count; j < stride; ++j) EXPECT_EQ(weights[h * stride + j], 0.0F);
          const auto end = weights.begin() + static_cast<std::ptrdiff_t>((h + 1) * stride);
          weights.erase(end - static_cast<std::ptrdiff_t>(stride - count), end);
        }
        EXPECT_LT(relative_error(weights, softmax), kF32Bound) << name;
      });
    }
  }
}

TEST(Activation, Formulas) {
  const auto at = [](Activation activation, float x) {
    std::vector<float> values{x};
    activate(activation, view(values, {1}));
    return values[0];
  };
  EXPECT_EQ(at(Activation::kRelu, -1.0F), 0.0F);
  EXPECT_NEAR(at(Activation::kGeluTanh, 1.0F), 0.841192, 1e-6);
  EXPECT_NEAR(at(Activation::kSwish, 1.0F), 0.731059, 1e-6);
  EXPECT_NEAR(at(Activation::kGelu, 1.0F), 0.841345, 1e-6);
  EXPECT_NEAR(at(Activation::kGeluSigmoid, 1.0F), 0.845796, 1e-6);
  EXPECT_NEAR(at(Activation::kTanh, 1.0F), 0.761594, 1e-6);
  EXPECT_NEAR(at(Activation::kSigmoid, 1.0F), 0.731059, 1e-6);
}

TEST(BestLogits, BlocksMergeToTheSortedBestAndTheSum) {
  auto logits = to_f32(normal_numbers(1000, 7));
  for (std::size_t i = 0; i < logits.size(); i += 3) logits[i] = std::round(logits[i]);  // ties
  logits[10] = std::nanf("");
  logits[11] = -std::numeric_limits<float>::infinity();
  std::vector<std::int32_t> order(1000);
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + 10, order.begin() + 12);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  double sum = 0.0;
  for (const std::int32_t id : order) {
    sum += std::exp(double{logits[static_cast<std::size_t>(id)]} -
                    double{logits[static_cast<std::size_t>(order[0])]});
  }
  on_instruction_sets([&](const char* name) {
    for (const std::size_t count : {1UL, 8UL, 2000UL}) {
      for (const std::size_t block : {1UL, 48UL, 77UL, 1000UL}) {
        std::vector<Candidate> best;
        std::vector<Candidate> later;  // what another thread would scan
        const std::size_t half = logits.size() / block / 2 * block;
        for (std::size_t first = 0; first < logits.size(); first += block) {
          static_cast<void>(scan_logits(
              std::span(logits).subspan(first, std::min(block, logits.size() - first)),
              static_cast<std::int32_t>(first), count, false, first < half ? best : later));
        }
        merge_candidates(later, count, best);
        ASSERT_EQ(best.size(), std::min(count, order.size()));
        for (std::size_t i = 0; i < best.size(); ++i) ASSERT_EQ(best[i].id, order[i]) << name;
      }
    }
    std::vector<Candidate> best;
    std::vector<LogitBlock> blocks(1);  // one where nothing is possible
    for (std::size_t first = 12; first < logits.size(); first += 76) {
      blocks.push_back(scan_logits(
          std::span(logits).subspan(first, std::min<std::size_t>(76, logits.size() - first)),
          static_cast<std::int32_t>(first), 4, true, best));
    }
    const LogitBlock all = sum_blocks(blocks);
    EXPECT_EQ(all.most, best.front().logit) << name;
    double rest = 0.0;
    for (std::size_t i = 12; i < 1000; ++i) rest += std::exp(double{logits[i]} - double{all.most});
    EXPECT_NEAR(all.sum / rest, 1.0, 1e-5) << name;
  });
  std::vector<Candidate> nothing;
  const std::vector<float> none(20, -std::numeric_limits<float>::infinity());
  const LogitBlock empty = scan_logits(none, 0, 3, true, nothing);
  EXPECT_TRUE(nothing.empty());
  EXPECT_EQ(empty.sum, 0.0F);
}

}  // namespace
}  // namespace nativo::ops
