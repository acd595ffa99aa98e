// Causal grouped-query attention over packed documents, with an optional sliding window.
// out = softmax(q k^T / sqrt(D)) v over the keys a query may see; memory grows with T, not T^2.
// Source: Dao et al., arXiv:2205.14135 (blocks, running maximum), Ainslie et al., arXiv:2305.13245
// (groups). Not here: RoPE (ops/rope.h). Rule: which keys are visible is one number a token,
// first_key.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// Query head h reads key/value head h / (heads / kv_heads).
struct AttentionShape {
  std::int64_t rows = 0;      ///< B
  std::int64_t length = 0;    ///< T
  std::int64_t heads = 0;     ///< H, a multiple of K
  std::int64_t kv_heads = 0;  ///< K
  std::int64_t head_dim = 0;  ///< D
};

/// Floats of scratch that attention_forward and attention_backward need.
[[nodiscard]] std::int64_t attention_workspace(const AttentionShape& shape,
                                               const tensor::Device& device = {});

/// qkv[B*T,(H+2K)D] holds q, k, v of a token side by side, after RoPE. Token t of a row sees the
/// keys [first_key[t], t] of the same row; first_key[t] > t means none, and gives zeros. Overwrites
/// out[B*T,H*D] and lse[B*T,H], the log of the softmax's sum, for the backward pass.
void attention_forward(const AttentionShape& shape, tensor::View<const float> qkv,
                       std::span<const std::int32_t> first_key, tensor::View<float> out,
                       tensor::View<float> lse, tensor::View<float> workspace);

/// Overwrites dqkv[B*T,(H+2K)D], the gradient of qkv for dout[B*T,H*D].
void attention_backward(const AttentionShape& shape, tensor::View<const float> qkv,
                        std::span<const std::int32_t> first_key, tensor::View<const float> out,
                        tensor::View<const float> dout, tensor::View<const float> lse,
                        tensor::View<float> dqkv, tensor::View<float> workspace);

/// Distance between the rows of a transposed key cache of `capacity` tokens: not a power of two, so
/// that its rows do not fight for the same lines of the L1 cache.
[[nodiscard]] std::int64_t key_cache_stride(std::int64_t capacity);

/// Copies the keys and values of M new tokens into a cache that holds `past`: qkv[M,(H+2K)D] as
/// above; keys[K,D,S] is transposed, S = key_cache_stride(capacity); values[K,capacity,D].
void store_keys_values(std::int64_t heads, tensor::View<const float> qkv, std::int64_t past,
                       tensor::View<float> keys, tensor::View<float> values);

/// Attention of M new tokens over a cache that already holds them: query i is at position past + i.
/// q[M,W] has its heads in columns [0, H*D); first_key[M] as above. Overwrites out[M,H*D].
void attention_cached(std::int64_t heads, tensor::View<const float> q,
                      tensor::View<const float> keys, tensor::View<const float> values,
                      std::int64_t past, std::span<const std::int32_t> first_key,
                      tensor::View<float> out);

/// On a GPU alone; scores, lse and sums are f32. Head sizes of 64 and 128 use the tensor cores.
void attention_forward(const AttentionShape& shape, tensor::View<const tensor::bf16> qkv,
                       std::span<const std::int32_t> first_key, tensor::View<tensor::bf16> out,
                       tensor::View<float> lse, tensor::View<float> workspace);
void attention_backward(const AttentionShape& shape, tensor::View<const tensor::bf16> qkv,
                        std::span<const std::int32_t> first_key,
                        tensor::View<const tensor::bf16> out, tensor::View<const tensor::bf16> dout,
                        tensor::View<const float> lse, tensor::View<tensor::bf16> dqkv,
                        tensor::View<float> workspace);
void store_keys_values(std::int64_t heads, tensor::View<const tensor::bf16> qkv, std::int64_t past,
                       tensor::View<tensor::bf16> keys, tensor::View<tensor::bf16> values);
void attention_cached(std::int64_t heads, tensor::View<const tensor::bf16> q,
                      tensor::View<const tensor::bf16> keys,
                      tensor::View<const tensor::bf16> values, std::int64_t past,
                      std::span<const std::int32_t> first_key, tensor::View<tensor::bf16> out);

}  // namespace nativo::ops
