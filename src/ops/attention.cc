// Checks shapes and hands head groups to the threads, or everything to the GPU.
#include "ops/attention.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/attention_cpu.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

/// A task is this many tiles: enough work to hand out, enough tasks for many cores.
constexpr std::int64_t kTilesPerTask = 4;

template <class T>
void check(const AttentionShape& shape, tensor::View<const T> qkv,
           std::span<const std::int32_t> first_key, tensor::View<const T> out,
           tensor::View<const float> lse, tensor::View<const float> workspace) {
  const std::int64_t tokens = shape.rows * shape.length;
  NATIVO_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
               "attention: heads are not a multiple of kv_heads");
  NATIVO_CHECK(
      qkv.shape() == (tensor::Shape{tokens, (shape.heads + 2 * shape.kv_heads) * shape.head_dim}),
      "attention: qkv is not [B*T,(H+2K)D]");
  NATIVO_CHECK(out.shape() == (tensor::Shape{tokens, shape.heads * shape.head_dim}),
               "attention: out is not [B*T,H*D]");
  NATIVO_CHECK(lse.shape() == (tensor::Shape{tokens, shape.heads}),
               "attention: lse is not [B*T,H]");
  NATIVO_CHECK(static_cast<std::int64_t>(first_key.size()) == tokens,
               "attention: first_key is not [B*T]");
  NATIVO_CHECK(workspace.elements() >= attention_workspace(shape, qkv.device()),
               "attention: workspace is too small");
}

template <class T>
void check_gradients(tensor::View<const T> qkv, tensor::View<const T> out,
                     tensor::View<const T> dout, tensor::View<const T> dqkv) {
  NATIVO_CHECK(dqkv.shape() == qkv.shape() && dout.shape() == out.shape(),
               "attention: gradients differ from what they belong to");
}

template <class T>
void check_cached(std::int64_t heads, tensor::View<const T> q, tensor::View<const T> keys,
                  tensor::View<const T> values, std::int64_t past,
                  std::span<const std::int32_t> first_key, tensor::View<const T> out) {
  NATIVO_CHECK(keys.shape().rank() == 3 && values.shape().rank() == 3 &&
                   keys.size(0) == values.size(0) && keys.size(1) == values.size(2) &&
                   keys.size(2) == key_cache_stride(values.size(1)),
               "attention: caches differ");
  const std::int64_t kv_heads = keys.size(0);
  const std::int64_t head_dim = keys.size(1);
  const std::int64_t queries = q.size(0);
  NATIVO_CHECK(heads % kv_heads == 0 && q.size(1) >= heads * head_dim,
               "attention: q is narrower than its heads");
  NATIVO_CHECK(static_cast<std::int64_t>(first_key.size()) == queries &&
                   out.shape() == (tensor::Shape{queries, heads * head_dim}),
               "attention: out is not [M,H*D]");
  NATIVO_CHECK(past >= 0 && past + queries <= values.size(1), "attention: the cache is too small");
}

template <class T>
void check_store(std::int64_t heads, tensor::View<const T> qkv, std::int64_t past,
                 tensor::View<const T> keys, tensor::View<const T> values) {
  NATIVO_CHECK(keys.shape().rank() == 3 && values.shape().rank() == 3 &&
                   keys.size(0) == values.size(0) && keys.size(1) == values.size(2) &&
                   keys.size(2) == key_cache_stride(values.size(1)),
               "attention: caches differ");
  NATIVO_CHECK(qkv.size(1) == (heads + 2 * keys.size(0)) * keys.size(1),
               "attention: qkv is not as wide as its heads");
  NATIVO_CHECK(past >= 0 && past + qkv.size(0) <= values.size(1),
               "attention: the cache is too small");
}

/// Everything about head group `kv_head` of row `row`.
cpu::HeadGroup head_group(const AttentionShape& shape, const float* qkv,
                          const std::int32_t* first_key, const float* keys_t, std::int64_t row,
                          std::int64_t kv_head) {
  const std::int64_t width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  const std::int64_t group = shape.heads / shape.kv_heads;
  const float* base = qkv + row * shape.length * width;
  return {.group = group,
          .head_dim = shape.head_dim,
          .q = base + kv_head * group * shape.head_dim,
          .q_stride = width,
          .keys_t = keys_t,
          .keys_stride = key_cache_stride(shape.length),
          .v = base + (shape.heads + shape.kv_heads + kv_head) * shape.head_dim,
          .v_stride = width,
          .first_key = first_key + row * shape.length,
          .past = 0};
}

}  // namespace

std::int64_t key_cache_stride(std::int64_t capacity) { return (capacity + 15) / 16 * 16 + 16; }

std::int64_t attention_workspace(const AttentionShape& shape, const tensor::Device& device) {
  if (device.is_cuda()) return cuda::attention_workspace(shape);
  return 2 * shape.rows * shape.kv_heads * shape.head_dim * key_cache_stride(shape.length);
}

void attention_forward(const AttentionShape& shape, tensor::View<const float> qkv,
                       std::span<const std::int32_t> first_key, tensor::View<float> out,
                       tensor::View<float> lse, tensor::View<float> workspace) {
  check<float>(shape, qkv, first_key, out, lse, workspace);
  if (on_gpu(qkv, out, lse, workspace)) {
    return cuda::Attention<float>::forward(shape, qkv, first_key, out, lse, workspace);
  }
  const std::int64_t width = qkv.size(1);
  const std::int64_t stride = key_cache_stride(shape.length);
  const std::int64_t groups = shape.rows * shape.kv_heads;
  const std::int64_t group = shape.heads / shape.kv_heads;
  const auto keys_of = [&](std::int64_t item) {
    return workspace.data() + item * shape.head_dim * stride;
  };
  parallel_for(static_cast<std::size_t>(groups), [&](std::size_t i) {
    const auto item = static_cast<std::int64_t>(i);
    const float* k = qkv.data() + item / shape.kv_heads * shape.length * width +
                     (shape.heads + item % shape.kv_heads) * shape.head_dim;
    cpu::transpose(k, width, shape.length, shape.head_dim, keys_of(item), stride);
  });
  const std::int64_t queries = kTilesPerTask * cpu::tile_queries(group);
  const std::int64_t parts = (shape.length + queries - 1) / queries;
  parallel_for(static_cast<std::size_t>(groups * parts), [&](std::size_t i) {
    const std::int64_t item = static_cast<std::int64_t>(i) / parts;
    const std::int64_t begin = static_cast<std::int64_t>(i) % parts * queries;
    const std::int64_t row = item / shape.kv_heads;
    const std::int64_t kv_head = item % shape.kv_heads;
    const std::int64_t token = row * shape.length;
    cpu::attend(head_group(shape, qkv.data(), first_key.data(), keys_of(item), row, kv_head),
                {.out = out.data() + (token * shape.heads + kv_head * group) * shape.head_dim,
                 .out_stride = shape.heads * shape.head_dim,
                 .lse = lse.data() + token * shape.heads + kv_head * group,
                 .lse_stride = shape.heads},
                begin, std::min(begin + queries, shape.length));
  });
}

void attention_backward(const AttentionShape& shape, tensor::View<const float> qkv,
                        std::span<const std::int32_t> first_key, tensor::View<const float> out,
                        tensor::View<const float> dout, tensor::View<const float> lse,
                        tensor::View<float> dqkv, tensor::View<float> workspace) {
  check<float>(shape, qkv, first_key, out, lse, workspace);
  check_gradients<float>(qkv, out, dout, dqkv);
  if (on_gpu(qkv, out, dout, lse, dqkv, workspace)) {
    return cuda::Attention<float>::backward(shape, qkv, first_key, out, dout, lse, dqkv, workspace);
  }
  const std::int64_t width = qkv.size(1);
  const std::int64_t stride = key_cache_stride(shape.length);
  const std::int64_t groups = shape.rows * shape.kv_heads;
  const std::int64_t group = shape.heads / shape.kv_heads;
  const std::int64_t panel = shape.head_dim * stride;
  parallel_for(static_cast<std::size_t>(groups), [&](std::size_t i) {
    const auto item = static_cast<std::int64_t>(i);
    const std::int64_t row = item / shape.kv_heads;
    const std::int64_t kv_head = item % shape.kv_heads;
    const std::int64_t token = row * shape.length;
    float* keys_t = workspace.data() + 2 * item * panel;
    float* values_t = keys_t + panel;
    const cpu::HeadGroup heads =
        head_group(shape, qkv.data(), first_key.data(), keys_t, row, kv_head);
    const std::int64_t q_column = kv_head * group * shape.head_dim;
    const std::int64_t k_column = (shape.heads + kv_head) * shape.head_dim;
    const std::int64_t v_column = (shape.heads + shape.kv_heads + kv_head) * shape.head_dim;
    const float* k = qkv.data() + token * width + k_column;
    cpu::transpose(k, width, shape.length, shape.head_dim, keys_t, stride);
    cpu::transpose(heads.v, width, shape.length, shape.head_dim, values_t, stride);
    float* gradient = dqkv.data() + token * width;
    const std::int64_t out_offset = (token * shape.heads + kv_head * group) * shape.head_dim;
    cpu::attend_backward(heads,
                         {.k = k,
                          .k_stride = width,
                          .values_t = values_t,
                          .out = out.data() + out_offset,
                          .dout = dout.data() + out_offset,
                          .out_stride = shape.heads * shape.head_dim,
                          .lse = lse.data() + token * shape.heads + kv_head * group,
                          .lse_stride = shape.heads,
                          .dq = gradient + q_column,
                          .dk = gradient + k_column,
                          .dv = gradient + v_column,
                          .grad_stride = width},
                         shape.length);
  });
}

void store_keys_values(std::int64_t heads, tensor::View<const float> qkv, std::int64_t past,
                       tensor::View<float> keys, tensor::View<float> values) {
  check_store<float>(heads, qkv, past, keys, values);
  if (on_gpu(qkv, keys, values)) {
    return cuda::Attention<float>::store(heads, qkv, past, keys, values);
  }
  const std::int64_t dim = keys.size(1);
  const std::int64_t kv_heads = keys.size(0);
  for (std::int64_t i = 0; i < qkv.size(0); ++i) {
    const float* k = qkv.data() + i * qkv.size(1) + heads * dim;
    const float* v = k + kv_heads * dim;
    for (std::int64_t head = 0; head < kv_heads; ++head) {
      float* key = keys.data() + head * dim * keys.size(2) + past + i;
      for (std::int64_t d = 0; d < dim; ++d) key[d * keys.size(2)] = k[head * dim + d];
      std::copy_n(v + head * dim, dim, values.data() + (head * values.size(1) + past + i) * dim);
    }
  }
}

void attention_cached(std::int64_t heads, tensor::View<const float> q,
                      tensor::View<const float> keys, tensor::View<const float> values,
                      std::int64_t past, std::span<const std::int32_t> first_key,
                      tensor::View<float> out) {
  check_cached<float>(heads, q, keys, values, past, first_key, out);
  if (on_gpu(q, keys, values, out)) {
    return cuda::Attention<float>::cached(heads, q, keys, values, past, first_key, out);
  }
  const std::int64_t kv_heads = keys.size(0);
  const std::int64_t head_dim = keys.size(1);
  const std::int64_t queries = q.size(0);
  const std::int64_t group = heads / kv_heads;
  const std::int64_t step = kTilesPerTask * cpu::tile_queries(group);
  const std::int64_t parts = (queries + step - 1) / step;
  parallel_for(static_cast<std::size_t>(kv_heads * parts), [&](std::size_t i) {
    const std::int64_t kv_head = static_cast<std::int64_t>(i) / parts;
    const std::int64_t begin = static_cast<std::int64_t>(i) % parts * step;
    cpu::attend({.group = group,
                 .head_dim = head_dim,
                 .q = q.data() + kv_head * group * head_dim,
                 .q_stride = q.size(1),
                 .keys_t = keys.data() + kv_head * head_dim * keys.size(2),
                 .keys_stride = keys.size(2),
                 .v = values.data() + kv_head * values.size(1) * head_dim,
                 .v_stride = head_dim,
                 .first_key = first_key.data(),
                 .past = past},
                {.out = out.data() + kv_head * group * head_dim,
                 .out_stride = heads * head_dim,
                 .lse = nullptr,
                 .lse_stride = 0},
                begin, std::min(begin + step, queries));
  });
}

void attention_forward(const AttentionShape& shape, tensor::View<const tensor::bf16> qkv,
                       std::span<const std::int32_t> first_key, tensor::View<tensor::bf16> out,
                       tensor::View<float> lse, tensor::View<float> workspace) {
  check<tensor::bf16>(shape, qkv, first_key, out, lse, workspace);
  require_gpu(qkv, out, lse, workspace);
  cuda::Attention<tensor::bf16>::forward(shape, qkv, first_key, out, lse, workspace);
}

void attention_backward(const AttentionShape& shape, tensor::View<const tensor::bf16> qkv,
                        std::span<const std::int32_t> first_key,
                        tensor::View<const tensor::bf16> out, tensor::View<const tensor::bf16> dout,
                        tensor::View<const float> lse, tensor::View<tensor::bf16> dqkv,
                        tensor::View<float> workspace) {
  check<tensor::bf16>(shape, qkv, first_key, out, lse, workspace);
  check_gradients<tensor::bf16>(qkv, out, dout, dqkv);
  require_gpu(qkv, out, dout, lse, dqkv, workspace);
  cuda::Attention<tensor::bf16>::backward(shape, qkv, first_key, out, dout, lse, dqkv, workspace);
}

void store_keys_values(std::int64_t heads, tensor::View<const tensor::bf16> qkv, std::int64_t past,
                       tensor::View<tensor::bf16> keys, tensor::View<tensor::bf16> values) {
  check_store<tensor::bf16>(heads, qkv, past, keys, values);
  require_gpu(qkv, keys, values);
  cuda::Attention<tensor::bf16>::store(heads, qkv, past, keys, values);
}

void attention_cached(std::int64_t heads, tensor::View<const tensor::bf16> q,
                      tensor::View<const tensor::bf16> keys,
                      tensor::View<const tensor::bf16> values, std::int64_t past,
                      std::span<const std::int32_t> first_key, tensor::View<tensor::bf16> out) {
  check_cached<tensor::bf16>(heads, q, keys, values, past, first_key, out);
  require_gpu(q, keys, values, out);
  cuda::Attention<tensor::bf16>::cached(heads, q, keys, values, past, first_key, out);
}

}  // namespace nativo::ops
