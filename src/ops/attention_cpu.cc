// Attention in tiles of about 96 (query, head) rows by 256 keys, so that scores never leave the L2
// cache. The heads of a group share each block of keys. Rule: a tile's blocks go in order of the
// keys.
#include "ops/attention_cpu.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"
#include "ops/small_gemm-inl.h"

#ifndef NATIVO_OPS_ATTENTION_TILE_
#define NATIVO_OPS_ATTENTION_TILE_
namespace nativo::ops {

inline constexpr std::int64_t kTileRows = 96;
inline constexpr std::int64_t kKeyBlock = 256;
/// Not a power of two, as key_cache_stride.
inline constexpr std::int64_t kTileStride = kKeyBlock + 16;
inline constexpr float kMasked = -1e30F;

/// Queries [first, first + queries) of a head group: rows (query, head), and the keys they may see.
struct Tile {
  std::int64_t first;
  std::int64_t queries;
  std::int64_t rows;
  std::int64_t key_begin;
  std::int64_t key_end;
};

inline Tile make_tile(const cpu::HeadGroup& heads, std::int64_t first, std::int64_t end) {
  const std::int64_t queries = std::min(cpu::tile_queries(heads.group), end - first);
  Tile tile{first, queries, queries * heads.group, 0, 0};
  std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t i = first; i < first + queries; ++i) {
    const std::int64_t position = heads.past + i;
    if (heads.first_key[i] > position) continue;
    lowest = std::min<std::int64_t>(lowest, heads.first_key[i]);
    tile.key_end = position + 1;
  }
  tile.key_begin = std::min(lowest, tile.key_end);
  return tile;
}

/// The columns of a block [key, key + keys) that row `row` of the tile may see, relative to `key`.
struct Columns {
  std::int64_t begin;
  std::int64_t end;
};

inline Columns visible(const cpu::HeadGroup& heads, const Tile& tile, std::int64_t row,
                       std::int64_t key, std::int64_t keys) {
  const std::int64_t query = tile.first + row / heads.group;
  const std::int64_t begin = std::max<std::int64_t>(heads.first_key[query] - key, 0);
  const std::int64_t end = std::min(heads.past + query + 1 - key, keys);
  return begin < end ? Columns{begin, end} : Columns{0, 0};
}

/// Masks what lies beside the visible columns up to whole vectors of `lanes`, zeroes the rest of
/// the row, and widens `columns` to whole vectors.
inline void mask_row(float* row, std::int64_t keys, std::int64_t lanes, Columns& columns) {
  const std::int64_t begin = columns.begin / lanes * lanes;
  const std::int64_t end = (columns.end + lanes - 1) / lanes * lanes;
  std::fill(row, row + begin, 0.0F);
  std::fill(row + begin, row + columns.begin, kMasked);
  std::fill(row + columns.end, row + end, kMasked);
  if (end < keys) std::fill(row + end, row + keys, 0.0F);
  columns = {begin, end};
}

}  // namespace nativo::ops
#endif  // NATIVO_OPS_ATTENTION_TILE_

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// The tile's rows of `from` (queries by stride, heads adjacent), times `scale`: as rows [rows,D]
/// when `rows_out` is given and as columns [D,rows].
void pack_tile(const cpu::HeadGroup& heads, const Tile& tile, const float* from,
               std::int64_t stride, float scale, float* rows_out, float* columns_out) {
  for (std::int64_t row = 0; row < tile.rows; ++row) {
    const float* source =
        from + (tile.first + row / heads.group) * stride + row % heads.group * heads.head_dim;
    for (std::int64_t i = 0; i < heads.head_dim; ++i) {
      const float value = source[i] * scale;
      columns_out[i * tile.rows + row] = value;
      if (rows_out != nullptr) rows_out[row * heads.head_dim + i] = value;
    }
  }
}

/// One row of scores becomes e^(score - maximum); updates the running maximum and sum, and returns
/// by what the row's earlier output must be multiplied.
float softmax_row(float* row, const Columns& columns, float& maximum, float& sum) {
  const FloatTag d;
  auto greatest = hn::Set(d, maximum);
  for (std::int64_t i = columns.begin; i < columns.end; i += float_lanes()) {
    greatest = hn::Max(greatest, hn::LoadU(d, row + i));
  }
  const auto shift = hn::MaxOfLanes(d, greatest);
  auto total = hn::Zero(d);
  for (std::int64_t i = columns.begin; i < columns.end; i += float_lanes()) {
    const auto value = exp_fast(hn::Sub(hn::LoadU(d, row + i), shift));
    hn::StoreU(value, d, row + i);
    total = hn::Add(total, value);
  }
  const float now = hn::GetLane(shift);
  const float factor = std::exp(maximum - now);
  sum = sum * factor + sum_lanes(total);
  maximum = now;
  return factor;
}

void scale_row(float* row, std::int64_t count, float factor) {
  const FloatTag d;
  for (std::int64_t i = 0; i < count; i += float_lanes()) {
    store_up_to(hn::Mul(load_up_to(row + i, count - i), hn::Set(d, factor)), row + i, count - i);
  }
}

void attend_tiles(const cpu::HeadGroup& heads, const cpu::HeadGroupOut& to, std::int64_t begin,
                  std::int64_t end) {
  const std::int64_t dim = heads.head_dim;
  const std::int64_t most = cpu::tile_queries(heads.group) * heads.group;
  const auto memory =
      hwy::AllocateAligned<float>(static_cast<std::size_t>(most * (2 * dim + kTileStride + 2)));
  float* q = memory.get();
  float* scores = q + most * dim;
  float* out = scores + most * kTileStride;
  float* maximum = out + most * dim;
  float* sum = maximum + most;
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));

  for (std::int64_t first = begin; first < end;) {
    const Tile tile = make_tile(heads, first, end);
    first += tile.queries;
    pack_tile(heads, tile, heads.q, heads.q_stride, scale, nullptr, q);
    std::fill(maximum, maximum + tile.rows, kMasked);
    std::fill(sum, sum + tile.rows, 0.0F);
    std::fill(out, out + tile.rows * dim, 0.0F);
    for (std::int64_t key = tile.key_begin; key < tile.key_end; key += kKeyBlock) {
      const std::int64_t keys = std::min(kKeyBlock, tile.key_end - key);
      small_gemm<1>(tile.rows, keys, dim, q, tile.rows, heads.keys_t + key, heads.keys_stride,
                    scores, kTileStride, Write::kOverwrite);
      for (std::int64_t row = 0; row < tile.rows; ++row) {
        float* line = scores + row * kTileStride;
        Columns columns = visible(heads, tile, row, key, keys);
        if (columns.begin == columns.end) {
          std::fill(line, line + keys, 0.0F);
          continue;
        }
        mask_row(line, keys, float_lanes(), columns);
        const float factor = softmax_row(line, columns, maximum[row], sum[row]);
        if (factor != 1.0F && key != tile.key_begin) scale_row(out + row * dim, dim, factor);
      }
      small_gemm<kTileStride>(tile.rows, dim, keys, scores, 1, heads.v + key * heads.v_stride,
                              heads.v_stride, out, dim, Write::kAccumulate);
    }
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const std::int64_t query = tile.first + row / heads.group;
      const std::int64_t head = row % heads.group;
      if (sum[row] > 0.0F) scale_row(out + row * dim, dim, 1.0F / sum[row]);
      std::memcpy(to.out + query * to.out_stride + head * dim, out + row * dim,
                  static_cast<std::size_t>(dim) * sizeof(float));
      if (to.lse != nullptr) {
        to.lse[query * to.lse_stride + head] =
            sum[row] > 0.0F ? maximum[row] + std::log(sum[row]) : 0.0F;
      }
    }
  }
}

/// p = e^(score - lse), dscore = p (dp - delta), both in place.
void softmax_backward_row(float* scores, float* dp, const Columns& columns, float lse,
                          float delta) {
  const FloatTag d;
  const auto shift = hn::Set(d, lse);
  const auto mean = hn::Set(d, delta);
  for (std::int64_t i = columns.begin; i < columns.end; i += float_lanes()) {
    const auto p = exp_fast(hn::Sub(hn::LoadU(d, scores + i), shift));
    hn::StoreU(p, d, scores + i);
    hn::StoreU(hn::Mul(p, hn::Sub(hn::LoadU(d, dp + i), mean)), d, dp + i);
  }
}

void attend_backward_tiles(const cpu::HeadGroup& heads, const cpu::HeadGroupBackward& backward,
                           std::int64_t length) {
  const std::int64_t dim = heads.head_dim;
  const std::int64_t most = cpu::tile_queries(heads.group) * heads.group;
  const auto memory =
      hwy::AllocateAligned<float>(static_cast<std::size_t>(most * (5 * dim + 2 * kTileStride)));
  float* q_columns = memory.get();
  float* q_rows = q_columns + most * dim;
  float* dout_columns = q_rows + most * dim;
  float* dout_rows = dout_columns + most * dim;
  float* dq = dout_rows + most * dim;
  float* scores = dq + most * dim;
  float* dscores = scores + most * kTileStride;
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  for (std::int64_t key = 0; key < length; ++key) {
    std::fill_n(backward.dk + key * backward.grad_stride, dim, 0.0F);
    std::fill_n(backward.dv + key * backward.grad_stride, dim, 0.0F);
  }

  for (std::int64_t first = 0; first < length;) {
    const Tile tile = make_tile(heads, first, length);
    first += tile.queries;
    pack_tile(heads, tile, heads.q, heads.q_stride, scale, q_rows, q_columns);
    pack_tile(heads, tile, backward.dout, backward.out_stride, 1.0F, dout_rows, dout_columns);
    std::fill(dq, dq + tile.rows * dim, 0.0F);
    for (std::int64_t key = tile.key_begin; key < tile.key_end; key += kKeyBlock) {
      const std::int64_t keys = std::min(kKeyBlock, tile.key_end - key);
      small_gemm<1>(tile.rows, keys, dim, q_columns, tile.rows, heads.keys_t + key,
                    heads.keys_stride, scores, kTileStride, Write::kOverwrite);
      small_gemm<1>(tile.rows, keys, dim, dout_columns, tile.rows, backward.values_t + key,
                    heads.keys_stride, dscores, kTileStride, Write::kOverwrite);
      for (std::int64_t row = 0; row < tile.rows; ++row) {
        float* line = scores + row * kTileStride;
        float* dline = dscores + row * kTileStride;
        Columns columns = visible(heads, tile, row, key, keys);
        if (columns.begin == columns.end) {
          std::fill(line, line + keys, 0.0F);
          std::fill(dline, dline + keys, 0.0F);
          continue;
        }
        Columns same = columns;
        mask_row(line, keys, float_lanes(), columns);
        mask_row(dline, keys, float_lanes(), same);
        const std::int64_t query = tile.first + row / heads.group;
        const std::int64_t head = row % heads.group;
        const float* out = backward.out + query * backward.out_stride + head * dim;
        float delta = 0.0F;
        for (std::int64_t i = 0; i < dim; ++i) delta += out[i] * dout_rows[row * dim + i];
        softmax_backward_row(line, dline, columns, backward.lse[query * backward.lse_stride + head],
                             delta);
      }
      small_gemm<kTileStride>(tile.rows, dim, keys, dscores, 1,
                              backward.k + key * backward.k_stride, backward.k_stride, dq, dim,
                              Write::kAccumulate);
      small_gemm<1>(keys, dim, tile.rows, dscores, kTileStride, q_rows, dim,
                    backward.dk + key * backward.grad_stride, backward.grad_stride,
                    Write::kAccumulate);
      small_gemm<1>(keys, dim, tile.rows, scores, kTileStride, dout_rows, dim,
                    backward.dv + key * backward.grad_stride, backward.grad_stride,
                    Write::kAccumulate);
    }
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      float* to = backward.dq + (tile.first + row / heads.group) * backward.grad_stride +
                  row % heads.group * dim;
      for (std::int64_t i = 0; i < dim; ++i) to[i] = dq[row * dim + i] * scale;
    }
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(attend_tiles);
HWY_EXPORT(attend_backward_tiles);
}  // namespace

namespace cpu {

std::int64_t tile_queries(std::int64_t group) {
  return std::max<std::int64_t>(kTileRows / group, 1);
}

void attend(const HeadGroup& heads, const HeadGroupOut& out, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(attend_tiles)(heads, out, begin, end);
}

void attend_backward(const HeadGroup& heads, const HeadGroupBackward& backward,
                     std::int64_t length) {
  HWY_DYNAMIC_DISPATCH(attend_backward_tiles)(heads, backward, length);
}

void transpose(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride) {
  constexpr std::int64_t kSquare = 16;
  for (std::int64_t i0 = 0; i0 < rows; i0 += kSquare) {
    const std::int64_t i1 = std::min(i0 + kSquare, rows);
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t i = i0; i < i1; ++i) to[j * to_stride + i] = from[i * from_stride + j];
    }
  }
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
