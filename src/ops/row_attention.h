// Attention of one query row to a list of key and value rows, all heads: what decoding with caches
// and encoding without padding need. Not here: training (ops/attention.h).
// Rule: the result depends on the rows listed and their order alone; one thread, no allocation
// beyond the caller's scratch.
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

/// out[H D] = per head softmax(scale * q . k) v (overwrites), for the query `q` [H D] at place
/// `position` among the keys. `keys` and `values` point to rows of [H D], at least one. `weights`
/// [H, attention_stride(keys)] is scratch and holds the softmax afterwards, zeros behind it.
void row_attention(const RowAttention& shape, const float* query, std::int64_t position,
                   std::span<const float* const> keys, std::span<const float* const> values,
                   float* weights, float* out);

}  // namespace nativo::ops
