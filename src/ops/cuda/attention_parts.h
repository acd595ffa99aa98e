// The two forms of attention on a GPU, between which attention.cu chooses. Not for other files.
#pragma once

#include <cstdint>

#include "ops/attention.h"
#include "tensor/bf16.h"
#include "tensor/device_memory.h"

namespace nativo::ops::cuda {

/// What both forms take: pointers on the device, in the layouts of ops/attention.h.
template <class T>
struct AttentionForward {
  AttentionShape shape;
  const T* qkv;
  const std::int32_t* first_key;
  T* out;
  float* lse;
};

template <class T>
struct AttentionBackward {
  AttentionShape shape;
  const T* qkv;
  const std::int32_t* first_key;
  const T* dout;
  const float* lse;
  const float* delta;  ///< [B*T,H], the sum of dout * out
  T* dqkv;
};

/// True where the form on tensor cores applies.
[[nodiscard]] bool has_tile_attention(const AttentionShape& shape);
/// On tensor cores; bf16, head sizes 64 and 128.
void tile_attention(const AttentionForward<tensor::bf16>& forward, tensor::StreamHandle stream);
void tile_attention_backward(const AttentionBackward<tensor::bf16>& backward,
                             tensor::StreamHandle stream);

}  // namespace nativo::ops::cuda
