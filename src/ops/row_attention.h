// Attention of query rows to one list of key and value rows, all heads: what decoding with caches
// and encoding without padding need. Not here: training (ops/attention.h).
// Rule: a query's result depends on it and the rows listed in their order alone, not on the queries
// beside it; one thread, no allocation beyond the caller's scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nativo::ops {

/// Relative position representations (Shaw et al., arXiv:1803.02155): tables [2 most + 1, D]
/// indexed by clamp(j - i, -most, most) + most. Null tables: none.
struct RelativePositions {
  const float* keys = nullptr;
  const float* values = nullptr;
  std::int64_t most = 0;
};

struct RowAttention {
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  float scale = 0.0F;  ///< of the products of query and key
  RelativePositions relative;
};

/// Floats from one head's weights to the next one's: whole vectors.
[[nodiscard]] constexpr std::int64_t attention_stride(std::size_t keys) {
  return static_cast<std::int64_t>((keys + 15) / 16 * 16);
}

struct AttentionQuery {
  const float* values = nullptr;  ///< q [H D]
  std::int64_t position = 0;      ///< its place among the keys
  /// [H, attention_stride(keys)], scratch: holds the softmax afterwards, zeros behind it.
  float* weights = nullptr;
  float* out = nullptr;  ///< [H D]
};

/// Each query's out = per head softmax(scale * q . k) v (overwrites). `keys` and `values` point to
/// rows of [H D], at least one.
void row_attention(const RowAttention& shape, std::span<const AttentionQuery> queries,
                   std::span<const float* const> keys, std::span<const float* const> values);

}  // namespace nativo::ops
