// Attention a warp a query: any element type, any head size up to 256. For f32, for odd sizes, for
// decoding, and as what the tensor cores' form is compared with. Not fast.
#include "base/error.h"
#include "ops/cuda/attention_parts.h"
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kLaneDims = 8;  ///< of a head, held by a lane: 32, 64, ... apart
constexpr std::int64_t kLargestHead = 32 * kLaneDims;

struct Place {
  std::int64_t token;
  std::int64_t head;
  bool inside;
};

/// The (token, head) of a warp.
__device__ __forceinline__ Place warp_place(std::int64_t tokens, std::int64_t heads) {
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  return {item / heads, item % heads, item < tokens * heads};
}

template <class T>
__device__ __forceinline__ void load_head(const T* from, std::int64_t dim, float (&to)[kLaneDims]) {
#pragma unroll
  for (int i = 0; i < kLaneDims; ++i) {
    const std::int64_t at = 32 * i + threadIdx.x % 32;
    to[i] = at < dim ? value_of(from[at]) : 0.0F;
  }
}

template <class T>
__device__ __forceinline__ void store_head(const float (&from)[kLaneDims], std::int64_t dim,
                                           T* to) {
#pragma unroll
  for (int i = 0; i < kLaneDims; ++i) {
    const std::int64_t at = 32 * i + threadIdx.x % 32;
    if (at < dim) assign(to[at], from[i]);
  }
}

__device__ __forceinline__ float dot(const float (&a)[kLaneDims], const float (&b)[kLaneDims]) {
  float sum = 0.0F;
#pragma unroll
  for (int i = 0; i < kLaneDims; ++i) sum = fmaf(a[i], b[i], sum);
  return warp_sum(sum);
}

__device__ __forceinline__ void add_scaled(float factor, const float (&b)[kLaneDims],
                                           float (&sum)[kLaneDims]) {
#pragma unroll
  for (int i = 0; i < kLaneDims; ++i) sum[i] = fmaf(factor, b[i], sum[i]);
}

struct Widths {
  std::int64_t row;    ///< of qkv
  std::int64_t group;  ///< query heads of a key head
  float scale;
};
__device__ __forceinline__ Widths widths_of(const AttentionShape& shape) {
  return {(shape.heads + 2 * shape.kv_heads) * shape.head_dim, shape.heads / shape.kv_heads,
          1.0F / sqrtf(static_cast<float>(shape.head_dim))};
}

template <class T>
__global__ void attention_forward_kernel(AttentionForward<T> of) {
  const AttentionShape& shape = of.shape;
  const Place place = warp_place(shape.rows * shape.length, shape.heads);
  if (!place.inside) return;
  const Widths widths = widths_of(shape);
  const std::int64_t begin = place.token / shape.length * shape.length;
  const std::int64_t k_column = (shape.heads + place.head / widths.group) * shape.head_dim;
  const std::int64_t v_column = k_column + shape.kv_heads * shape.head_dim;
  float q[kLaneDims];
  load_head(of.qkv + place.token * widths.row + place.head * shape.head_dim, shape.head_dim, q);
  float sum[kLaneDims] = {};
  float most = -INFINITY;
  float weights = 0.0F;
  for (std::int64_t key = begin + of.first_key[place.token]; key <= place.token; ++key) {
    float k[kLaneDims];
    float v[kLaneDims];
    load_head(of.qkv + key * widths.row + k_column, shape.head_dim, k);
    load_head(of.qkv + key * widths.row + v_column, shape.head_dim, v);
    const float score = dot(q, k) * widths.scale;
    const float highest = greater(score, most);
    const float keep = most == highest ? 1.0F : expf(most - highest);
    const float weight = expf(score - highest);
    most = highest;
    weights = weights * keep + weight;
#pragma unroll
    for (int i = 0; i < kLaneDims; ++i) sum[i] = fmaf(weight, v[i], sum[i] * keep);
  }
  const float inverse = weights > 0.0F || weights != weights ? 1.0F / weights : 0.0F;
#pragma unroll
  for (int i = 0; i < kLaneDims; ++i) sum[i] *= inverse;
  const std::int64_t index = place.token * shape.heads + place.head;
  store_head(sum, shape.head_dim, of.out + index * shape.head_dim);
  if (threadIdx.x % 32 == 0) of.lse[index] = weights > 0.0F ? most + logf(weights) : 0.0F;
}

/// delta = the sum of dout * out, of each (token, head).
template <class T>
__global__ void attention_delta_kernel(const T* out, const T* dout, std::int64_t items,
                                       std::int64_t dim, float* delta) {
  const Place place = warp_place(items, 1);
  if (!place.inside) return;
  float a[kLaneDims];
  float b[kLaneDims];
  load_head(out + place.token * dim, dim, a);
  load_head(dout + place.token * dim, dim, b);
  const float sum = dot(a, b);
  if (threadIdx.x % 32 == 0) delta[place.token] = sum;
}

template <class T>
__global__ void attention_dq_kernel(AttentionBackward<T> of) {
  const AttentionShape& shape = of.shape;
  const Place place = warp_place(shape.rows * shape.length, shape.heads);
  if (!place.inside) return;
  const Widths widths = widths_of(shape);
  const std::int64_t begin = place.token / shape.length * shape.length;
  const std::int64_t k_column = (shape.heads + place.head / widths.group) * shape.head_dim;
  const std::int64_t v_column = k_column + shape.kv_heads * shape.head_dim;
  const std::int64_t index = place.token * shape.heads + place.head;
  const std::int64_t q_at = place.token * widths.row + place.head * shape.head_dim;
  float q[kLaneDims];
  float gradient[kLaneDims];
  float dq[kLaneDims] = {};
  load_head(of.qkv + q_at, shape.head_dim, q);
  load_head(of.dout + index * shape.head_dim, shape.head_dim, gradient);
  for (std::int64_t key = begin + of.first_key[place.token]; key <= place.token; ++key) {
    float k[kLaneDims];
    float v[kLaneDims];
    load_head(of.qkv + key * widths.row + k_column, shape.head_dim, k);
    load_head(of.qkv + key * widths.row + v_column, shape.head_dim, v);
    const float weight = expf(dot(q, k) * widths.scale - of.lse[index]);
    add_scaled(weight * (dot(gradient, v) - of.delta[index]) * widths.scale, k, dq);
  }
  store_head(dq, shape.head_dim, of.dqkv + q_at);
}

/// A warp a (key, key head): the queries that see it, in their order, their heads in theirs.
template <class T>
__global__ void attention_dkv_kernel(AttentionBackward<T> of) {
  const AttentionShape& shape = of.shape;
  const Place place = warp_place(shape.rows * shape.length, shape.kv_heads);
  if (!place.inside) return;
  const Widths widths = widths_of(shape);
  const std::int64_t begin = place.token / shape.length * shape.length;
  const std::int64_t k_at = place.token * widths.row + (shape.heads + place.head) * shape.head_dim;
  const std::int64_t v_at = k_at + shape.kv_heads * shape.head_dim;
  float k[kLaneDims];
  float v[kLaneDims];
  float dk[kLaneDims] = {};
  float dv[kLaneDims] = {};
  load_head(of.qkv + k_at, shape.head_dim, k);
  load_head(of.qkv + v_at, shape.head_dim, v);
  for (std::int64_t token = place.token; token < begin + shape.length; ++token) {
    if (of.first_key[token] > place.token - begin) continue;
    for (std::int64_t i = 0; i < widths.group; ++i) {
      const std::int64_t head = place.head * widths.group + i;
      const std::int64_t index = token * shape.heads + head;
      float q[kLaneDims];
      float gradient[kLaneDims];
      load_head(of.qkv + token * widths.row + head * shape.head_dim, shape.head_dim, q);
      load_head(of.dout + index * shape.head_dim, shape.head_dim, gradient);
      const float weight = expf(dot(q, k) * widths.scale - of.lse[index]);
      add_scaled(weight, gradient, dv);
      add_scaled(weight * (dot(gradient, v) - of.delta[index]) * widths.scale, q, dk);
    }
  }
  store_head(dk, shape.head_dim, of.dqkv + k_at);
  store_head(dv, shape.head_dim, of.dqkv + v_at);
}

/// A block a (token, key/value head), a thread a dimension.
template <class T>
__global__ void store_keys_values_kernel(const T* qkv, std::int64_t width, std::int64_t heads,
                                         std::int64_t kv_heads, std::int64_t past, T* keys,
                                         std::int64_t keys_stride, T* values,
                                         std::int64_t capacity) {
  const std::int64_t token = blockIdx.x / kv_heads;
  const std::int64_t head = blockIdx.x % kv_heads;
  const std::int64_t dim = blockDim.x;
  const std::int64_t at = head * dim + threadIdx.x;
  const T* row = qkv + token * width + heads * dim;
  keys[at * keys_stride + past + token] = row[at];
  values[(head * capacity + past + token) * dim + threadIdx.x] = row[kv_heads * dim + at];
}

constexpr int kCachedKeys = 256;

/// A block a (query, head) over the cache, 256 keys at a time: a thread a key for the scores, a
/// thread a dimension for the sum, so that both read neighbours.
template <class T>
__global__ void attention_cached_kernel(const T* q, std::int64_t q_stride, const T* keys,
                                        std::int64_t keys_stride, const T* values,
                                        std::int64_t capacity, std::int64_t heads,
                                        std::int64_t group, std::int64_t dim, std::int64_t past,
                                        const std::int32_t* first_key, T* out) {
  __shared__ float query[kLargestHead];
  __shared__ float weight[kCachedKeys];
  const std::int64_t token = blockIdx.x / heads;
  const std::int64_t head = blockIdx.x % heads;
  const T* own_keys = keys + head / group * dim * keys_stride;
  const T* own_values = values + head / group * capacity * dim;
  const float scale = 1.0F / sqrtf(static_cast<float>(dim));
  if (threadIdx.x < dim)
    query[threadIdx.x] = value_of(q[token * q_stride + head * dim + threadIdx.x]);
  float most = -INFINITY;
  float weights = 0.0F;
  float sum = 0.0F;
  const std::int64_t end = past + token + 1;
  for (std::int64_t first = first_key[token]; first < end; first += kCachedKeys) {
    __syncthreads();  // the query is there; the last keys' weights are used
    const std::int64_t key = first + threadIdx.x;
    float score = -INFINITY;
    if (key < end) {
      score = 0.0F;
      for (std::int64_t i = 0; i < dim; ++i) {
        score = fmaf(query[i], value_of(own_keys[i * keys_stride + key]), score);
      }
      score *= scale;
    }
    const float highest = greater(block_max(score), most);
    const float keep = most == highest ? 1.0F : expf(most - highest);
    const float own = key < end ? expf(score - highest) : 0.0F;
    most = highest;
    weight[threadIdx.x] = own;
    weights = weights * keep + block_sum(own);  // a barrier: the weights are there
    sum *= keep;
    if (threadIdx.x < dim) {
      const std::int64_t count = end - first < kCachedKeys ? end - first : kCachedKeys;
      for (std::int64_t i = 0; i < count; ++i) {
        sum = fmaf(weight[i], value_of(own_values[(first + i) * dim + threadIdx.x]), sum);
      }
    }
  }
  if (threadIdx.x < dim) {
    assign(out[blockIdx.x * dim + threadIdx.x],
           weights > 0.0F || weights != weights ? sum / weights : 0.0F);
  }
}

template <class T>
void run_forward(const AttentionForward<T>& forward, tensor::StreamHandle stream) {
  if constexpr (sizeof(T) == sizeof(bf16)) {
    if (has_tile_attention(forward.shape)) return tile_attention(forward, stream);
  }
  const AttentionShape& shape = forward.shape;
  launch(attention_forward_kernel<T>, grid_for(shape.rows * shape.length * shape.heads, kWarps),
         dim3(32 * kWarps), 0, stream, forward);
}

template <class T>
void run_backward(const AttentionBackward<T>& backward, tensor::StreamHandle stream) {
  if constexpr (sizeof(T) == sizeof(bf16)) {
    if (has_tile_attention(backward.shape)) return tile_attention_backward(backward, stream);
  }
  const AttentionShape& shape = backward.shape;
  const std::int64_t tokens = shape.rows * shape.length;
  launch(attention_dq_kernel<T>, grid_for(tokens * shape.heads, kWarps), dim3(32 * kWarps), 0,
         stream, backward);
  launch(attention_dkv_kernel<T>, grid_for(tokens * shape.kv_heads, kWarps), dim3(32 * kWarps), 0,
         stream, backward);
}

void check_head(std::int64_t dim) {
  NATIVO_CHECK(dim <= kLargestHead, "attention on a GPU: heads of at most 256");
}

}  // namespace

template <class T>
void Attention<T>::forward(const AttentionShape& shape, View<const T> qkv, Ids first_key,
                           View<T> out, View<float> lse, View<float> /*workspace*/) {
  check_head(shape.head_dim);
  run_forward<T>({shape, qkv.data(), first_key.data(), out.data(), lse.data()},
                 compute_stream(out.device()));
}

template <class T>
void Attention<T>::backward(const AttentionShape& shape, View<const T> qkv, Ids first_key,
                            View<const T> out, View<const T> dout, View<const float> lse,
                            View<T> dqkv, View<float> workspace) {
  check_head(shape.head_dim);
  const tensor::StreamHandle stream = compute_stream(dqkv.device());
  const std::int64_t items = shape.rows * shape.length * shape.heads;
  launch(attention_delta_kernel<T>, grid_for(items, kWarps), dim3(32 * kWarps), 0, stream,
         out.data(), dout.data(), items, shape.head_dim, workspace.data());
  run_backward<T>(
      {shape, qkv.data(), first_key.data(), dout.data(), lse.data(), workspace.data(), dqkv.data()},
      stream);
}

template <class T>
void Attention<T>::store(std::int64_t heads, View<const T> qkv, std::int64_t past, View<T> keys,
                         View<T> values) {
  launch(store_keys_values_kernel<T>, dim3(static_cast<unsigned>(qkv.size(0) * keys.size(0))),
         dim3(static_cast<unsigned>(keys.size(1))), 0, compute_stream(keys.device()), qkv.data(),
         qkv.size(1), heads, keys.size(0), past, keys.data(), keys.size(2), values.data(),
         values.size(1));
}

template <class T>
void Attention<T>::cached(std::int64_t heads, View<const T> q, View<const T> keys,
                          View<const T> values, std::int64_t past, Ids first_key, View<T> out) {
  check_head(keys.size(1));
  launch(attention_cached_kernel<T>, dim3(static_cast<unsigned>(q.size(0) * heads)),
         dim3(kCachedKeys), 0, compute_stream(out.device()), q.data(), q.size(1), keys.data(),
         keys.size(2), values.data(), values.size(1), heads, heads / keys.size(0), keys.size(1),
         past, first_key.data(), out.data());
}

template struct Attention<float>;
template struct Attention<bf16>;

}  // namespace nativo::ops::cuda
