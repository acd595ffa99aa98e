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

/// The sum of e^(x - maximum). Behind the end, lanes hold e^(-inf) = 0.
float row_exp_sum(const float* row, std::int64_t count, float maximum) {
  const FloatTag d;
  const auto shift = hn::Set(d, maximum);
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  const std::int64_t lanes = float_lanes();
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    sum0 = hn::Add(sum0, exp_fast(hn::Sub(hn::LoadU(d, row + i), shift)));
    sum1 = hn::Add(sum1, exp_fast(hn::Sub(hn::LoadU(d, row + i + lanes), shift)));
  }
  float total = sum_lanes(hn::Add(sum0, sum1));
  for (; i < count; ++i) total += std::exp(row[i] - maximum);
  return total;
}

void softmax_gradient_row(float* row, std::int64_t count, float maximum, float factor) {
  const FloatTag d;
  const auto shift = hn::Set(d, maximum);
  const auto scale = hn::Set(d, factor);
  for (std::int64_t i = 0; i < count; i += float_lanes()) {
    const std::int64_t left = count - i;
    const auto value = exp_fast(hn::Sub(load_up_to(row + i, left), shift));
    store_up_to(hn::Mul(value, scale), row + i, left);
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(row_maximum);
HWY_EXPORT(row_exp_sum);
HWY_EXPORT(softmax_gradient_row);
}  // namespace

namespace cpu {

void cross_entropy_forward(const float* logits, std::int64_t rows, std::int64_t vocabulary,
                           const std::int32_t* targets, double* log_prob, std::int32_t* argmax) {
  parallel_for(static_cast<std::size_t>(rows), [&](std::size_t i) {
    const float* row = logits + static_cast<std::int64_t>(i) * vocabulary;
    const float maximum = HWY_DYNAMIC_DISPATCH(row_maximum)(row, vocabulary);
    const float sum = HWY_DYNAMIC_DISPATCH(row_exp_sum)(row, vocabulary, maximum);
    log_prob[i] = static_cast<double>(row[targets[i]]) - static_cast<double>(maximum) -
                  std::log(static_cast<double>(sum));
    if (argmax != nullptr) {
      std::int32_t best = 0;
      while (best + 1 < vocabulary && row[best] < maximum) ++best;
      argmax[i] = best;
    }
  });
}

void cross_entropy_forward_backward(float* logits, std::int64_t rows, std::int64_t vocabulary,
                                    const std::int32_t* targets, float scale, double* log_prob) {
  parallel_for(static_cast<std::size_t>(rows), [&](std::size_t i) {
    float* row = logits + static_cast<std::int64_t>(i) * vocabulary;
    const float maximum = HWY_DYNAMIC_DISPATCH(row_maximum)(row, vocabulary);
    const float sum = HWY_DYNAMIC_DISPATCH(row_exp_sum)(row, vocabulary, maximum);
    log_prob[i] = static_cast<double>(row[targets[i]]) - static_cast<double>(maximum) -
                  std::log(static_cast<double>(sum));
    HWY_DYNAMIC_DISPATCH(softmax_gradient_row)(row, vocabulary, maximum, scale / sum);
    row[targets[i]] -= scale;
  });
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
