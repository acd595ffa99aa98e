// What attention.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

namespace nativo::ops::cpu {

/// The query heads that share one key/value head, over one sequence.
struct HeadGroup {
  std::int64_t group;     ///< query heads
  std::int64_t head_dim;  ///< D
  const float* q;         ///< first query's first head; heads follow each other
  std::int64_t q_stride;  ///< floats from token to token
  const float* keys_t;    ///< [D, keys]
  std::int64_t keys_stride;
  const float* v;  ///< [keys, D]
  std::int64_t v_stride;
  const std::int32_t* first_key;  ///< of each query
  std::int64_t past;              ///< key position of query 0
};

struct HeadGroupOut {
  float* out;
  std::int64_t out_stride;
  float* lse;  ///< null when nobody needs it
  std::int64_t lse_stride;
};

struct HeadGroupBackward {
  const float* k;  ///< [keys, D]
  std::int64_t k_stride;
  const float* values_t;  ///< [D, keys], stride as keys_t
  const float* out;
  const float* dout;
  std::int64_t out_stride;
  const float* lse;
  std::int64_t lse_stride;
  float* dq;  ///< all three overwritten; stride of dqkv's rows
  float* dk;
  float* dv;
  std::int64_t grad_stride;
};

/// Queries in one tile: a tile has some 96 rows of (query, head).
[[nodiscard]] std::int64_t tile_queries(std::int64_t group);

/// Queries [begin, end).
void attend(const HeadGroup& heads, const HeadGroupOut& out, std::int64_t begin, std::int64_t end);

/// All `length` queries and keys of one sequence.
void attend_backward(const HeadGroup& heads, const HeadGroupBackward& backward,
                     std::int64_t length);

/// to[D, stride] = transpose of from[rows, D].
void transpose(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride);

}  // namespace nativo::ops::cpu
