// Softmax and its loss, a row at a time: maximum, sum of exponentials, gradient.
#include "ops/cross_entropy_cpu.h"

#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cross_entropy_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

float row_maximum(const float* row, std::int64_t count) {
  const FloatTag d;
  float greatest = -std::numeric_limits<float>::infinity();
  auto maximum = hn::Set(d, greatest);
  std::int64_t i = 0;
  for (; i + float_lanes() <= count; i += float_lanes()) {
    maximum = hn::Max(maximum, hn::LoadU(d, row + i));
  }
  greatest = hn::GetLane(hn::MaxOfLanes(d, maximum));
  for (; i < count; ++i) greatest = row[i] > greatest ? row[i] : greatest;
  return greatest;
}

/// The sums of e^(x - maximum) and of x - maximum.
cpu::RowSums row_sums(const float* row, std::int64_t count, float maximum) {
  const FloatTag d;
  const auto shift = hn::Set(d, maximum);
  auto exp0 = hn::Zero(d);
  auto exp1 = hn::Zero(d);
  auto plain0 = hn::Zero(d);
  auto plain1 = hn::Zero(d);
  const std::int64_t lanes = float_lanes();
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x0 = hn::Sub(hn::LoadU(d, row + i), shift);
    const auto x1 = hn::Sub(hn::LoadU(d, row + i + lanes), shift);
    exp0 = hn::Add(exp0, exp_fast(x0));
    exp1 = hn::Add(exp1, exp_fast(x1));
    plain0 = hn::Add(plain0, x0);
    plain1 = hn::Add(plain1, x1);
  }
  cpu::RowSums sums{sum_lanes(hn::Add(exp0, exp1)), sum_lanes(hn::Add(plain0, plain1))};
  for (; i < count; ++i) {
    sums.exponentials += std::exp(row[i] - maximum);
    sums.plain += row[i] - maximum;
  }
  return sums;
}

/// row = factor e^(x - maximum) - offset.
void softmax_gradient_row(float* row, std::int64_t count, float maximum, float factor,
                          float offset) {
  const FloatTag d;
  const auto shift = hn::Set(d, maximum);
  const auto scale = hn::Set(d, factor);
  const auto less = hn::Set(d, offset);
  for (std::int64_t i = 0; i < count; i += float_lanes()) {
    const std::int64_t left = count - i;
    const auto value = exp_fast(hn::Sub(load_up_to(row + i, left), shift));
    store_up_to(hn::MulSub(value, scale, less), row + i, left);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(row_maximum);
HWY_EXPORT(row_sums);
HWY_EXPORT(softmax_gradient_row);
}  // namespace

namespace cpu {

void cross_entropy_forward(const float* logits, std::int64_t rows, std::int64_t vocabulary,
                           const std::int32_t* targets, double* log_prob, std::int32_t* argmax) {
  parallel_for(static_cast<std::size_t>(rows), [&](std::size_t i) {
    const float* row = logits + static_cast<std::int64_t>(i) * vocabulary;
    const float maximum = HWY_DYNAMIC_DISPATCH(row_maximum)(row, vocabulary);
    const cpu::RowSums sums = HWY_DYNAMIC_DISPATCH(row_sums)(row, vocabulary, maximum);
    log_prob[i] = static_cast<double>(row[targets[i]]) - static_cast<double>(maximum) -
                  std::log(static_cast<double>(sums.exponentials));
    if (argmax != nullptr) {
      std::int32_t best = 0;
      while (best + 1 < vocabulary && row[best] < maximum) ++best;
      argmax[i] = best;
    }
  });
}

void cross_entropy_forward_backward(float* logits, std::int64_t rows, std::int64_t vocabulary,
                                    const std::int32_t* targets, const CrossEntropy& options,
                                    double* log_prob, double* loss) {
  const double smoothing = options.label_smoothing;
  const auto count = static_cast<double>(vocabulary);
  const auto step = static_cast<double>(options.scale);
  const auto offset = static_cast<float>(step * (smoothing / count));
  const auto at_target = static_cast<float>(step * (1.0 - smoothing));
  parallel_for(static_cast<std::size_t>(rows), [&](std::size_t i) {
    float* row = logits + static_cast<std::int64_t>(i) * vocabulary;
    const float maximum = HWY_DYNAMIC_DISPATCH(row_maximum)(row, vocabulary);
    const cpu::RowSums sums = HWY_DYNAMIC_DISPATCH(row_sums)(row, vocabulary, maximum);
    const double log_sum = std::log(static_cast<double>(sums.exponentials));
    log_prob[i] = static_cast<double>(row[targets[i]]) - static_cast<double>(maximum) - log_sum;
    const double lse = log_sum + static_cast<double>(maximum);
    if (loss != nullptr) {
      loss[i] = -log_prob[i];
      if (smoothing > 0.0) {
        const double mean = log_sum - static_cast<double>(sums.plain) / count;
        loss[i] = (1.0 - smoothing) * loss[i] + smoothing * mean;
      }
      loss[i] += options.z_loss * lse * lse;
    }
    const auto scale = static_cast<float>(step * (1.0 + 2.0 * options.z_loss * lse));
    HWY_DYNAMIC_DISPATCH(softmax_gradient_row)
    (row, vocabulary, maximum, scale / sums.exponentials, offset);
    row[targets[i]] -= at_target;
  });
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
