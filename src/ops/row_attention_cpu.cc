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
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < size; i += float_lanes()) {
    sum = hn::MulAdd(load_up_to(a + i, size - i), load_up_to(b + i, size - i), sum);
  }
  return sum_lanes(sum);
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
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    const float* q = query + head * size;
    float* w = weights + head * count;
    for (std::int64_t j = 0; j < count; ++j) {
      w[j] = shape.scale * dot(q, keys[static_cast<std::size_t>(j)] + head * size, size);
      if (relative.keys != nullptr) w[j] += shape.scale * dot(q, relative.keys + place(j), size);
    }
    softmax(w, count);
    float* to = out + head * size;
    std::fill_n(to, size, 0.0F);
    for (std::int64_t j = 0; j < count; ++j) {
      add_scaled(values[static_cast<std::size_t>(j)] + head * size, w[j], size, to);
    }
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
