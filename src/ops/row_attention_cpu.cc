// Products four keys at a time, sums head by head; each by all queries while it is in the cache.
#include <algorithm>
#include <limits>

#include "ops/row_attention.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/row_attention_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

constexpr std::int64_t kKeysTogether = 4;

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

/// to[0..3] = factor * the sums of the lanes of a, b, c and d.
HWY_INLINE void store_sums(FloatVec a, FloatVec b, FloatVec c, FloatVec d, float factor,
                           float* to) {
#if HWY_TARGET == HWY_SCALAR
  to[0] = factor * sum_lanes(a);
  to[1] = factor * sum_lanes(b);
  to[2] = factor * sum_lanes(c);
  to[3] = factor * sum_lanes(d);
#else
  const FloatTag tag;
  const hn::Repartition<double, FloatTag> pairs;
  const hn::FixedTag<float, 4> four;
  // Within blocks of four lanes: a0+a2 b0+b2 a1+a3 b1+b3, then all four sums.
  const auto ab = hn::Add(hn::InterleaveLower(tag, a, b), hn::InterleaveUpper(tag, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(tag, c, d), hn::InterleaveUpper(tag, c, d));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  HWY_ALIGN float blocks[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(hn::Add(hn::BitCast(tag, low), hn::BitCast(tag, high)), tag, blocks);
  auto sum = hn::Load(four, blocks);
  for (std::int64_t i = 4; i < float_lanes(); i += 4)
    sum = hn::Add(sum, hn::Load(four, blocks + i));
  hn::StoreU(hn::Mul(sum, hn::Set(four, factor)), four, to);
#endif
}

/// to[0..3] = factor * q . k for four keys.
HWY_INLINE void dots(const float* q, const float* const* keys, std::int64_t column,
                     std::int64_t size, float factor, float* to) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto x = hn::LoadU(d, q + i);
    sum0 = hn::MulAdd(x, hn::LoadU(d, keys[0] + column + i), sum0);
    sum1 = hn::MulAdd(x, hn::LoadU(d, keys[1] + column + i), sum1);
    sum2 = hn::MulAdd(x, hn::LoadU(d, keys[2] + column + i), sum2);
    sum3 = hn::MulAdd(x, hn::LoadU(d, keys[3] + column + i), sum3);
  }
  if (i < size) {
    const auto x = load_up_to(q + i, size - i);
    sum0 = hn::MulAdd(x, load_up_to(keys[0] + column + i, size - i), sum0);
    sum1 = hn::MulAdd(x, load_up_to(keys[1] + column + i, size - i), sum1);
    sum2 = hn::MulAdd(x, load_up_to(keys[2] + column + i, size - i), sum2);
    sum3 = hn::MulAdd(x, load_up_to(keys[3] + column + i, size - i), sum3);
  }
  store_sums(sum0, sum1, sum2, sum3, factor, to);
}

/// Asks for `size` floats, which are wanted soon.
HWY_INLINE void prefetch(const float* from, std::int64_t size) {
  for (std::int64_t i = 0; i < size; i += 16) __builtin_prefetch(from + i, 0, 2);
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

/// `size` is a whole number of vectors.
void softmax(float* x, std::int64_t size) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  auto most = hn::LoadU(d, x);
  for (std::int64_t i = lanes; i < size; i += lanes) most = hn::Max(most, hn::LoadU(d, x + i));
  const auto top = hn::MaxOfLanes(d, most);
  auto total = hn::Zero(d);
  for (std::int64_t i = 0; i < size; i += lanes) {
    const auto value = exp_of_negative(hn::Sub(hn::LoadU(d, x + i), top));
    hn::StoreU(value, d, x + i);
    total = hn::Add(total, value);
  }
  const auto factor = hn::Set(d, 1.0F / sum_lanes(total));
  for (std::int64_t i = 0; i < size; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), factor), d, x + i);
  }
}

void row_attention_kernel(const RowAttention& shape, std::span<const AttentionQuery> queries,
                          std::span<const float* const> keys,
                          std::span<const float* const> values) {
  const auto count = static_cast<std::int64_t>(keys.size());
  const std::int64_t stride = attention_stride(keys.size());
  const std::int64_t size = shape.head_size;
  const RelativePositions& relative = shape.relative;
  const auto place = [&](std::int64_t j, const AttentionQuery& query) {
    return (std::clamp(j - query.position, -relative.most, relative.most) + relative.most) * size;
  };
  // Keys in their order, so that memory is read as it lies; what comes next is asked for.
  for (std::int64_t j = 0; j < count; j += kKeysTogether) {
    const float* rows[kKeysTogether];
    for (std::int64_t i = 0; i < kKeysTogether; ++i) {
      rows[i] = keys[static_cast<std::size_t>(std::min(j + i, count - 1))];
    }
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      for (std::int64_t i = j; i < std::min(j + kKeysTogether, count); ++i) {
        prefetch(values[static_cast<std::size_t>(i)] + head * size, size);
        if (i + 2 * kKeysTogether < count) {
          prefetch(keys[static_cast<std::size_t>(i + 2 * kKeysTogether)] + head * size, size);
        }
      }
      for (const AttentionQuery& query : queries) {
        dots(query.values + head * size, rows, head * size, size, shape.scale,
             query.weights + head * stride + j);
      }
    }
  }
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    for (const AttentionQuery& query : queries) {
      float* w = query.weights + head * stride;
      for (std::int64_t j = 0; relative.keys != nullptr && j < count; ++j) {
        w[j] +=
            shape.scale * dot(query.values + head * size, relative.keys + place(j, query), size);
      }
      std::fill(w + count, w + stride, -std::numeric_limits<float>::infinity());
      softmax(w, stride);
      float* to = query.out + head * size;
      weighted_sum(values, head * size, w, size, to);
      for (std::int64_t j = 0; relative.values != nullptr && j < count; ++j) {
        add_scaled(relative.values + place(j, query), w[j], size, to);
      }
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

void row_attention(const RowAttention& shape, std::span<const AttentionQuery> queries,
                   std::span<const float* const> keys, std::span<const float* const> values) {
  HWY_DYNAMIC_DISPATCH(row_attention_kernel)(shape, queries, keys, values);
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
