// SwiGLU and rotary embedding, a chunk of 8 elements a thread. Bound by memory.
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

/// Stays finite for any finite x: e^-x may be infinite, its inverse is 0.
__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

template <class T>
__global__ void swiglu_forward_kernel(const T* gate_up, std::int64_t rows, std::int64_t columns,
                                      bool wide, T* act) {
  const std::int64_t chunks = (columns + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= rows * chunks) return;
  const std::int64_t row = item / chunks;
  const std::int64_t column = item % chunks * kChunk;
  const std::int64_t left = columns - column;
  const T* gate = gate_up + row * 2 * columns + column;
  float g[kChunk];
  float u[kChunk];
  load(gate, left, wide, g);
  load(gate + columns, left, wide, u);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) g[i] = g[i] * sigmoid(g[i]) * u[i];
  store(g, left, wide, act + row * columns + column);
}

template <class T>
__global__ void swiglu_backward_kernel(T* gate_up, std::int64_t rows, std::int64_t columns,
                                       bool wide, T* dact) {
  const std::int64_t chunks = (columns + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= rows * chunks) return;
  const std::int64_t row = item / chunks;
  const std::int64_t column = item % chunks * kChunk;
  const std::int64_t left = columns - column;
  T* gate = gate_up + row * 2 * columns + column;
  T* gradient = dact + row * columns + column;
  float g[kChunk];
  float u[kChunk];
  float dy[kChunk];
  load(gate, left, wide, g);
  load(gate + columns, left, wide, u);
  load(gradient, left, wide, dy);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    const float s = sigmoid(g[i]);
    const float silu = g[i] * s;
    const float up = u[i];
    const float slope = fmaf(silu, 1.0F - s, s);
    g[i] = dy[i] * up * slope;
    u[i] = dy[i] * silu;
    dy[i] = silu * up;
  }
  store(g, left, wide, gate);
  store(u, left, wide, gate + columns);
  store(dy, left, wide, gradient);
}

/// A thread a chunk of the first half of a head, and of the second.
template <class T>
__global__ void rope_kernel(T* x, std::int64_t rows, std::int64_t stride, std::int64_t heads,
                            std::int64_t half, const std::int32_t* positions, const float* cosine,
                            const float* sine, float sign, bool wide) {
  const std::int64_t chunks = (half + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= rows * heads * chunks) return;
  const std::int64_t row = item / (heads * chunks);
  const std::int64_t head = item / chunks % heads;
  const std::int64_t at = item % chunks * kChunk;
  const std::int64_t left = half - at;
  T* first = x + row * stride + head * 2 * half + at;
  const std::int64_t table = static_cast<std::int64_t>(positions[row]) * half + at;
  float a[kChunk];
  float b[kChunk];
  float c[kChunk];
  float s[kChunk];
  load(first, left, wide, a);
  load(first + half, left, wide, b);
  load(cosine + table, left, wide, c);
  load(sine + table, left, wide, s);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    const float turn = sign * s[i];
    const float low = fmaf(-b[i], turn, a[i] * c[i]);
    b[i] = fmaf(a[i], turn, b[i] * c[i]);
    a[i] = low;
  }
  store(a, left, wide, first);
  store(b, left, wide, first + half);
}

}  // namespace

template <class T>
void Activations<T>::swiglu_forward(View<const T> gate_up, View<T> act) {
  const std::int64_t chunks = (act.size(1) + kChunk - 1) / kChunk;
  launch(swiglu_forward_kernel<T>, grid_for(act.size(0) * chunks), dim3(kThreads), 0,
         compute_stream(act.device()), gate_up.data(), act.size(0), act.size(1),
         is_wide(act.size(1), gate_up.data(), act.data()), act.data());
}

template <class T>
void Activations<T>::swiglu_backward(View<T> gate_up, View<T> dact) {
  const std::int64_t chunks = (dact.size(1) + kChunk - 1) / kChunk;
  launch(swiglu_backward_kernel<T>, grid_for(dact.size(0) * chunks), dim3(kThreads), 0,
         compute_stream(dact.device()), gate_up.data(), dact.size(0), dact.size(1),
         is_wide(dact.size(1), gate_up.data(), dact.data()), dact.data());
}

template <class T>
void Activations<T>::rope(View<T> x, std::int64_t heads, Ids positions, View<const float> cosine,
                          View<const float> sine, Rotation rotation) {
  const std::int64_t half = cosine.size(1);
  const std::int64_t chunks = (half + kChunk - 1) / kChunk;
  const bool wide = is_wide(half, x.data(), cosine.data(), sine.data()) && x.size(1) % kChunk == 0;
  launch(rope_kernel<T>, grid_for(x.size(0) * heads * chunks), dim3(kThreads), 0,
         compute_stream(x.device()), x.data(), x.size(0), x.size(1), heads, half, positions.data(),
         cosine.data(), sine.data(), rotation == Rotation::kForward ? 1.0F : -1.0F, wide);
}

template struct Activations<float>;
template struct Activations<bf16>;

}  // namespace nativo::ops::cuda
