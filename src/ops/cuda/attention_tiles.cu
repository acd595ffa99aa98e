// Attention on tensor cores, after FlashAttention-2 (Dao, arXiv:2307.08691): tiles of queries
// against tiles of keys, softmax along the way, nothing of size T^2. The backward pass runs twice
// over the scores, once for dk and dv and once for dq, so that each sum has one owner and a fixed
// order.
#include "ops/cuda/attention_parts.h"
#include "ops/cuda/tiles.cuh"

namespace nativo::ops::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kBlockThreads = 32 * kWarps;
constexpr int kRows = 16 * kWarps;  ///< of the block: queries, or keys for dk and dv
constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;
constexpr std::int32_t kNothing = 0x7FFFFFFF;

/// The other side's rows that are in work at a time: fewer of larger heads, for the registers'
/// sake.
template <int kDim>
inline constexpr int kOthers = kDim == 64 ? 64 : 32;

/// What every block needs to know about its sequence.
struct Sequence {
  std::int64_t stride;   ///< of qkv's rows
  std::int64_t begin;    ///< its first token
  std::int64_t q, k, v;  ///< columns of the head
  float scale;
};

__device__ __forceinline__ Sequence sequence_of(const AttentionShape& shape, std::int64_t head) {
  const std::int64_t dim = shape.head_dim;
  const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
  return {(shape.heads + 2 * shape.kv_heads) * dim,
          static_cast<std::int64_t>(blockIdx.z) * shape.length,
          head * dim,
          (shape.heads + kv_head) * dim,
          (shape.heads + shape.kv_heads + kv_head) * dim,
          1.0F / sqrtf(static_cast<float>(dim))};
}

/// The least of a number of every thread.
__device__ __forceinline__ std::int32_t block_min(std::int32_t value) {
  __shared__ std::int32_t least[kWarps];
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const std::int32_t other = __shfl_xor_sync(kAllLanes, value, step);
    value = other < value ? other : value;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) least[threadIdx.x / 32] = value;
  __syncthreads();
  value = least[0];
#pragma unroll
  for (int i = 1; i < kWarps; ++i) value = least[i] < value ? least[i] : value;
  return value;
}

/// The first keys of queries [query, query + count), to shared memory, kNothing behind the
/// sequence's end; returns the least of them. All threads of the block come; count <=
/// kBlockThreads.
__device__ __forceinline__ std::int32_t load_first_keys(const std::int32_t* first_key,
                                                        std::int64_t query, int count,
                                                        std::int64_t length, std::int32_t* to) {
  std::int32_t first = kNothing;
  if (static_cast<int>(threadIdx.x) < count) {
    const std::int64_t at = query + threadIdx.x;
    if (at < length) first = first_key[at];
    to[threadIdx.x] = first;
  }
  return block_min(first);
}

template <int kDim>
__global__ void __launch_bounds__(kBlockThreads) tile_forward_kernel(AttentionForward<bf16> of) {
  constexpr int kKeys = 64;
  constexpr std::size_t kTile = tile_bytes<kDim>(kKeys);
  __shared__ std::int32_t first_keys[kRows];
  unsigned char* shared = dynamic_shared();
  const AttentionShape& shape = of.shape;
  const std::int64_t head = blockIdx.y;
  const Sequence at = sequence_of(shape, head);
  // The last queries see most keys: their blocks begin first.
  const std::int64_t query = static_cast<std::int64_t>(gridDim.x - 1 - blockIdx.x) * kRows;
  const bf16* rows = of.qkv + at.begin * at.stride;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_row = static_cast<int>(threadIdx.x / 32) * 16;

  // The queries pass through the first key tile into registers.
  auto* tiles = reinterpret_cast<bf16*>(shared);
  start_tile<kDim, kRows, kBlockThreads>(rows + at.q, at.stride, query, shape.length, tiles);
  end_copies();
  const std::int32_t least =
      load_first_keys(of.first_key + at.begin, query, kRows, shape.length, first_keys);
  wait_copies<0>();
  __syncthreads();
  std::uint32_t q[kDim / 16][4];
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) load_left<kDim>(tiles, warp_row, 16 * k, q[k]);
  __syncthreads();

  const std::int64_t last_query =
      query + kRows < shape.length ? query + kRows - 1 : shape.length - 1;
  const std::int64_t first_tile = least / kKeys;
  const std::int64_t tile_end = least > last_query ? first_tile : last_query / kKeys + 1;
  const auto key_tile = [&](std::int64_t tile) {
    return reinterpret_cast<bf16*>(shared + (tile - first_tile) % 2 * 2 * kTile);
  };
  const auto value_tile = [&](std::int64_t tile) {
    return reinterpret_cast<bf16*>(shared + ((tile - first_tile) % 2 * 2 + 1) * kTile);
  };
  const auto start = [&](std::int64_t tile) {
    start_tile<kDim, kKeys, kBlockThreads>(rows + at.k, at.stride, tile * kKeys, shape.length,
                                           key_tile(tile));
    start_tile<kDim, kKeys, kBlockThreads>(rows + at.v, at.stride, tile * kKeys, shape.length,
                                           value_tile(tile));
    end_copies();
  };

  float sums[kDim / 8][4] = {};
  float most[2] = {-INFINITY, -INFINITY};
  float weights[2] = {0.0F, 0.0F};
  const float to_log2 = at.scale * kLog2E;
  const std::int64_t own[2] = {query + warp_row + lane / 4, query + warp_row + lane / 4 + 8};
  const std::int32_t first[2] = {first_keys[warp_row + lane / 4],
                                 first_keys[warp_row + lane / 4 + 8]};
  if (first_tile < tile_end) start(first_tile);
  for (std::int64_t tile = first_tile; tile < tile_end; ++tile) {
    if (tile + 1 < tile_end) {
      start(tile + 1);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; n += 2) {
        std::uint32_t b[4];
        load_right<kDim>(key_tile(tile), 8 * n, 16 * k, b);
        mma_bf16(scores[n], q[k], b[0], b[1]);
        mma_bf16(scores[n + 1], q[k], b[2], b[3]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float highest = most[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const std::int64_t key = tile * kKeys + 8 * n + 2 * (lane % 4) + i;
          float& score = scores[n][2 * half + i];
          score = key >= first[half] && key <= own[half] ? score * to_log2 : -INFINITY;
          highest = greater(score, highest);
        }
      }
      highest = greater(highest, __shfl_xor_sync(kAllLanes, highest, 1));
      highest = greater(highest, __shfl_xor_sync(kAllLanes, highest, 2));
      const float base = highest == -INFINITY ? 0.0F : highest;  // no key is visible yet
      const float keep = exp2_fast(most[half] - base);
      most[half] = highest;
      float sum = 0.0F;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& score = scores[n][2 * half + i];
          score = exp2_fast(score - base);
          sum += score;
        }
      }
      weights[half] = weights[half] * keep + sum;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sums[n][2 * half] *= keep;
        sums[n][2 * half + 1] *= keep;
      }
    }
    multiply_weights<kDim>(scores, value_tile(tile), sums);
    __syncthreads();
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = weights[half] + __shfl_xor_sync(kAllLanes, weights[half], 1);
    total += __shfl_xor_sync(kAllLanes, total, 2);
    const bool none = total == 0.0F;
    const float inverse = none ? 0.0F : 1.0F / total;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      sums[n][2 * half] *= inverse;
      sums[n][2 * half + 1] *= inverse;
    }
    if (lane % 4 == 0 && own[half] < shape.length) {
      of.lse[(at.begin + own[half]) * shape.heads + head] =
          none ? 0.0F : most[half] * kLn2 + logf(total);
    }
  }
  store_sums<kDim>(sums, query + warp_row, shape.length, shape.heads * kDim,
                   of.out + (at.begin * shape.heads + head) * kDim);
}

/// dq of a tile of queries: sums over the keys that they see.
template <int kDim>
__global__ void __launch_bounds__(kBlockThreads) tile_dq_kernel(AttentionBackward<bf16> of) {
  constexpr int kKeys = kOthers<kDim>;
  constexpr std::size_t kOwn = tile_bytes<kDim>(kRows);
  constexpr std::size_t kTile = tile_bytes<kDim>(kKeys);
  __shared__ std::int32_t first_keys[kRows];
  unsigned char* shared = dynamic_shared();
  const AttentionShape& shape = of.shape;
  const std::int64_t head = blockIdx.y;
  const Sequence at = sequence_of(shape, head);
  const std::int64_t query = static_cast<std::int64_t>(gridDim.x - 1 - blockIdx.x) * kRows;
  const bf16* rows = of.qkv + at.begin * at.stride;
  const bf16* gradients = of.dout + (at.begin * shape.heads + head) * kDim;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_row = static_cast<int>(threadIdx.x / 32) * 16;
  auto* q = reinterpret_cast<bf16*>(shared);
  auto* dout = reinterpret_cast<bf16*>(shared + kOwn);
  start_tile<kDim, kRows, kBlockThreads>(rows + at.q, at.stride, query, shape.length, q);
  start_tile<kDim, kRows, kBlockThreads>(gradients, shape.heads * kDim, query, shape.length, dout);
  end_copies();
  const std::int32_t least =
      load_first_keys(of.first_key + at.begin, query, kRows, shape.length, first_keys);
  const std::int64_t last_query =
      query + kRows < shape.length ? query + kRows - 1 : shape.length - 1;
  const std::int64_t first_tile = least / kKeys;
  const std::int64_t tile_end = least > last_query ? first_tile : last_query / kKeys + 1;
  const auto key_tile = [&](std::int64_t tile) {
    return reinterpret_cast<bf16*>(shared + 2 * kOwn + (tile - first_tile) % 2 * 2 * kTile);
  };
  const auto start = [&](std::int64_t tile) {
    bf16* keys = key_tile(tile);
    start_tile<kDim, kKeys, kBlockThreads>(rows + at.k, at.stride, tile * kKeys, shape.length,
                                           keys);
    start_tile<kDim, kKeys, kBlockThreads>(rows + at.v, at.stride, tile * kKeys, shape.length,
                                           keys + kTile / sizeof(bf16));
    end_copies();
  };

  float dq[kDim / 8][4] = {};
  float lse[2];
  float delta[2];
  std::int32_t first[2];
  std::int64_t own[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp_row + lane / 4 + 8 * half;
    own[half] = query + row;
    first[half] = first_keys[row];
    const bool inside = own[half] < shape.length;
    const std::int64_t index = (at.begin + own[half]) * shape.heads + head;
    lse[half] = inside ? of.lse[index] * kLog2E : 0.0F;
    delta[half] = inside ? of.delta[index] : 0.0F;
  }
  const float to_log2 = at.scale * kLog2E;
  if (first_tile < tile_end) {
    start(first_tile);
  } else {
    wait_copies<0>();
  }
  for (std::int64_t tile = first_tile; tile < tile_end; ++tile) {
    if (tile + 1 < tile_end) {
      start(tile + 1);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
    const bf16* keys = key_tile(tile);
    const bf16* values = keys + kTile / sizeof(bf16);
    float scores[kKeys / 8][4] = {};
    float dweights[kKeys / 8][4] = {};
    multiply_rows<kDim>(q, warp_row, keys, scores);
    multiply_rows<kDim>(dout, warp_row, values, dweights);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const std::int64_t key = tile * kKeys + 8 * n + 2 * (lane % 4) + i % 2;
        const bool visible = key >= first[i / 2] && key <= own[i / 2];
        const float weight = visible ? exp2_fast(scores[n][i] * to_log2 - lse[i / 2]) : 0.0F;
        scores[n][i] = weight * (dweights[n][i] - delta[i / 2]) * at.scale;
      }
    }
    multiply_weights<kDim>(scores, keys, dq);
    __syncthreads();
  }
  store_sums<kDim>(dq, query + warp_row, shape.length, at.stride,
                   of.dqkv + at.begin * at.stride + at.q);
}

/// dk and dv of a tile of keys: sums over the query heads of its group and the queries that see it.
/// The scores are transposed, a row a key.
template <int kDim>
__global__ void __launch_bounds__(kBlockThreads) tile_dkv_kernel(AttentionBackward<bf16> of) {
  constexpr int kQueries = kOthers<kDim>;
  constexpr std::size_t kOwn = tile_bytes<kDim>(kRows);
  constexpr std::size_t kTile = tile_bytes<kDim>(kQueries);
  __shared__ std::int32_t first_keys[kQueries];
  __shared__ float lse[kQueries];
  __shared__ float delta[kQueries];
  unsigned char* shared = dynamic_shared();
  const AttentionShape& shape = of.shape;
  const std::int64_t group = shape.heads / shape.kv_heads;
  const std::int64_t key = static_cast<std::int64_t>(blockIdx.x) * kRows;
  const std::int64_t key_end = key + kRows < shape.length ? key + kRows : shape.length;
  const Sequence at = sequence_of(shape, blockIdx.y * group);
  const bf16* rows = of.qkv + at.begin * at.stride;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_row = static_cast<int>(threadIdx.x / 32) * 16;
  auto* k = reinterpret_cast<bf16*>(shared);
  auto* v = reinterpret_cast<bf16*>(shared + kOwn);
  auto* q = reinterpret_cast<bf16*>(shared + 2 * kOwn);
  auto* dout = reinterpret_cast<bf16*>(shared + 2 * kOwn + kTile);
  start_tile<kDim, kRows, kBlockThreads>(rows + at.k, at.stride, key, shape.length, k);
  start_tile<kDim, kRows, kBlockThreads>(rows + at.v, at.stride, key, shape.length, v);
  end_copies();

  float dk[kDim / 8][4] = {};
  float dv[kDim / 8][4] = {};
  const float to_log2 = at.scale * kLog2E;
  const std::int64_t own[2] = {key + warp_row + lane / 4, key + warp_row + lane / 4 + 8};
  for (std::int64_t query = key / kQueries * kQueries; query < shape.length; query += kQueries) {
    // A barrier inside: nobody reads the last tile's numbers any more.
    __syncthreads();
    const std::int32_t least =
        load_first_keys(of.first_key + at.begin, query, kQueries, shape.length, first_keys);
    if (least >= key_end) continue;  // none of these queries sees these keys
    for (std::int64_t i = 0; i < group; ++i) {
      const std::int64_t head = blockIdx.y * group + i;
      __syncthreads();
      start_tile<kDim, kQueries, kBlockThreads>(rows + head * kDim, at.stride, query, shape.length,
                                                q);
      start_tile<kDim, kQueries, kBlockThreads>(of.dout + (at.begin * shape.heads + head) * kDim,
                                                shape.heads * kDim, query, shape.length, dout);
      end_copies();
      if (static_cast<int>(threadIdx.x) < kQueries) {
        const bool inside = query + threadIdx.x < shape.length;
        const std::int64_t index = (at.begin + query + threadIdx.x) * shape.heads + head;
        lse[threadIdx.x] = inside ? of.lse[index] * kLog2E : 0.0F;
        delta[threadIdx.x] = inside ? of.delta[index] : 0.0F;
      }
      wait_copies<0>();
      __syncthreads();
      float scores[kQueries / 8][4] = {};
      float dweights[kQueries / 8][4] = {};
      multiply_rows<kDim>(k, warp_row, q, scores);
      multiply_rows<kDim>(v, warp_row, dout, dweights);
#pragma unroll
      for (int n = 0; n < kQueries / 8; ++n) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int column = 8 * n + 2 * (lane % 4) + j % 2;
          const std::int64_t from = own[j / 2];
          const bool visible = from >= first_keys[column] && from <= query + column;
          const float weight = visible ? exp2_fast(scores[n][j] * to_log2 - lse[column]) : 0.0F;
          scores[n][j] = weight;
          dweights[n][j] = weight * (dweights[n][j] - delta[column]) * at.scale;
        }
      }
      multiply_weights<kDim>(scores, dout, dv);
      multiply_weights<kDim>(dweights, q, dk);
    }
  }
  wait_copies<0>();
  bf16* to = of.dqkv + at.begin * at.stride;
  store_sums<kDim>(dk, key + warp_row, shape.length, at.stride, to + at.k);
  store_sums<kDim>(dv, key + warp_row, shape.length, at.stride, to + at.v);
}

dim3 grid_of(const AttentionShape& shape, std::int64_t heads) {
  return dim3(static_cast<unsigned>((shape.length + kRows - 1) / kRows),
              static_cast<unsigned>(heads), static_cast<unsigned>(shape.rows));
}

template <int kDim>
void forward(const AttentionForward<bf16>& of, tensor::StreamHandle stream) {
  launch(tile_forward_kernel<kDim>, grid_of(of.shape, of.shape.heads), dim3(kBlockThreads),
         4 * tile_bytes<kDim>(64), stream, of);
}

template <int kDim>
void backward(const AttentionBackward<bf16>& of, tensor::StreamHandle stream) {
  const std::size_t own = 2 * tile_bytes<kDim>(kRows);
  const std::size_t pair = 2 * tile_bytes<kDim>(kOthers<kDim>);
  launch(tile_dq_kernel<kDim>, grid_of(of.shape, of.shape.heads), dim3(kBlockThreads),
         own + 2 * pair, stream, of);
  launch(tile_dkv_kernel<kDim>, grid_of(of.shape, of.shape.kv_heads), dim3(kBlockThreads),
         own + pair, stream, of);
}

}  // namespace

bool has_tile_attention(const AttentionShape& shape) {
  return shape.head_dim == 64 || shape.head_dim == 128;
}

void tile_attention(const AttentionForward<bf16>& of, tensor::StreamHandle stream) {
  of.shape.head_dim == 64 ? forward<64>(of, stream) : forward<128>(of, stream);
}

void tile_attention_backward(const AttentionBackward<bf16>& of, tensor::StreamHandle stream) {
  of.shape.head_dim == 64 ? backward<64>(of, stream) : backward<128>(of, stream);
}

}  // namespace nativo::ops::cuda
