// One query row at a time, head by head.
#include <algorithm>
#include <cmath>

#include "ops/row_attention.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/row_attention_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

HWY_INLINE float dot(const float* a, const float* b, std::int64_t size) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  if (i < size) sum = hn::MulAdd(load_up_to(a + i, size - i), load_up_to(b + i, size - i), sum);
  return sum_lanes(sum);
}

/// to[size] = the rows' columns from `column` on, weighted by w; four vectors in registers while
/// the rows go by.
HWY_INLINE void weighted_sum(std::span<const float* const> rows, std::int64_t column,
                             const float* w, std::int64_t size, float* to) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  std::int64_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
    auto sum0 = hn::Zero(d);
    auto sum1 = hn::Zero(d);
    auto sum2 = hn::Zero(d);
    auto sum3 = hn::Zero(d);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      const float* from = rows[j] + column + i;
      const auto factor = hn::Set(d, w[j]);
      sum0 = hn::MulAdd(factor, hn::LoadU(d, from), sum0);
      sum1 = hn::MulAdd(factor, hn::LoadU(d, from + lanes), sum1);
      sum2 = hn::MulAdd(factor, hn::LoadU(d, from + 2 * lanes), sum2);
      sum3 = hn::MulAdd(factor, hn::LoadU(d, from + 3 * lanes), sum3);
    }
    hn::StoreU(sum0, d, to + i);
    hn::StoreU(sum1, d, to + i + lanes);
    hn::StoreU(sum2, d, to + i + 2 * lanes);
    hn::StoreU(sum3, d, to + i + 3 * lanes);
  }
  for (; i < size; i += lanes) {
    auto sum = hn::Zero(d);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      sum = hn::MulAdd(hn::Set(d, w[j]), load_up_to(rows[j] + column + i, size - i), sum);
    }
    store_up_to(sum, to + i, size - i);
  }
}

/// to += factor * from.
HWY_INLINE void add_scaled(const float* from, float factor, std::int64_t size, float* to) {
  const FloatTag d;
  const auto f = hn::Set(d, factor);
  for (std::int64_t i = 0; i < size; i += float_lanes()) {
    const std::int64_t left = size - i;
    store_up_to(hn::MulAdd(f, load_up_to(from + i, left), load_up_to(to + i, left)), to + i, left);
  }
}

void softmax(float* x, std::int64_t size) {
  const FloatTag d;
  float most = x[0];
  for (std::int64_t i = 1; i < size; ++i) most = std::max(most, x[i]);
  const auto top = hn::Set(d, most);
  float total = 0.0F;
  for (std::int64_t i = 0; i < size; i += float_lanes()) {
    const std::int64_t left = size - i;
    store_up_to(exp_fast(hn::Sub(load_up_to(x + i, left), top)), x + i, left);
  }
  for (std::int64_t i = 0; i < size; ++i) total += x[i];
  const float factor = 1.0F / total;
  for (std::int64_t i = 0; i < size; ++i) x[i] *= factor;
}

void row_attention_kernel(const RowAttention& shape, const float* query, std::int64_t position,
                          std::span<const float* const> keys, std::span<const float* const> values,
                          float* weights, float* out) {
  const auto count = static_cast<std::int64_t>(keys.size());
  const std::int64_t size = shape.head_size;
  const RelativePositions& relative = shape.relative;
  const auto place = [&](std::int64_t j) {
    return (std::clamp(j - position, -relative.most, relative.most) + relative.most) * size;
  };
  // Key by key, so that memory is read as it lies.
  for (std::int64_t j = 0; j < count; ++j) {
    const float* key = keys[static_cast<std::size_t>(j)];
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      const float* q = query + head * size;
      float& w = weights[head * count + j];
      w = shape.scale * dot(q, key + head * size, size);
      if (relative.keys != nullptr) w += shape.scale * dot(q, relative.keys + place(j), size);
    }
  }
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    float* w = weights + head * count;
    softmax(w, count);
    float* to = out + head * size;
    weighted_sum(values, head * size, w, size, to);
    for (std::int64_t j = 0; relative.values != nullptr && j < count; ++j) {
      add_scaled(relative.values + place(j), w[j], size, to);
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(row_attention_kernel);
}  // namespace

void row_attention(const RowAttention& shape, const float* query, std::int64_t position,
                   std::span<const float* const> keys, std::span<const float* const> values,
                   float* weights, float* out) {
  HWY_DYNAMIC_DISPATCH(row_attention_kernel)
  (shape, query, position, keys, values, weights, out);
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
