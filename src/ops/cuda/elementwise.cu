// Sums, copies, gathers and conversions, a chunk of 8 elements a thread. Bound by memory.
#include "ops/cuda/add_rows.cuh"
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"

namespace nativo::ops::cuda {
namespace {

template <class T>
__global__ void add_kernel(const T* a, const T* b, std::int64_t count, bool wide, T* out) {
  const std::int64_t at = thread_index() * kChunk;
  if (at >= count) return;
  float x[kChunk];
  float y[kChunk];
  load(a + at, count - at, wide, x);
  load(b + at, count - at, wide, y);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) x[i] += y[i];
  store(x, count - at, wide, out + at);
}

template <class From, class To>
__global__ void convert_kernel(const From* from, std::int64_t count, bool wide, To* to) {
  const std::int64_t at = thread_index() * kChunk;
  if (at >= count) return;
  float x[kChunk];
  load(from + at, count - at, wide, x);
  store(x, count - at, wide, to + at);
}

/// A thread a chunk of a row of `to`: its row of `from` is the same, or rows[row].
template <class T>
__global__ void copy_rows_kernel(const T* from, std::int64_t from_stride,
                                 const std::int32_t* from_rows, const std::int32_t* to_rows,
                                 std::int64_t rows, std::int64_t columns, std::int64_t to_stride,
                                 bool wide, T* to) {
  const std::int64_t chunks = (columns + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= rows * chunks) return;
  const std::int64_t row = item / chunks;
  const std::int64_t column = item % chunks * kChunk;
  const std::int64_t source = from_rows == nullptr ? row : from_rows[row];
  const std::int64_t target = to_rows == nullptr ? row : to_rows[row];
  float x[kChunk];
  load(from + source * from_stride + column, columns - column, wide, x);
  store(x, columns - column, wide, to + target * to_stride + column);
}

template <class T>
__global__ void add_bias_kernel(T* x, const T* bias, std::int64_t rows, std::int64_t columns,
                                bool wide) {
  const std::int64_t chunks = (columns + kChunk - 1) / kChunk;
  const std::int64_t item = thread_index();
  if (item >= rows * chunks) return;
  const std::int64_t column = item % chunks * kChunk;
  T* at = x + item / chunks * columns + column;
  float value[kChunk];
  float more[kChunk];
  load(at, columns - column, wide, value);
  load(bias + column, columns - column, wide, more);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) value[i] += more[i];
  store(value, columns - column, wide, at);
}

constexpr int kEmbeddingThreads = 128;

/// A block a token and 1024 columns. The token's first occurrence sums all its rows, in their
/// order; the other occurrences' blocks end. Looking through the tokens costs less than sorting
/// them: they stay in the caches.
template <class T>
__global__ void embedding_backward_kernel(const T* dy, const std::int32_t* tokens,
                                          std::int64_t count, std::int64_t columns, bool wide,
                                          T* dtable) {
  __shared__ unsigned found[kEmbeddingThreads / 32];
  const std::int64_t own = blockIdx.x;
  const std::int32_t token = tokens[own];
  for (std::int64_t first = 0; first < own; first += kEmbeddingThreads) {
    const std::int64_t i = first + threadIdx.x;
    if (__syncthreads_or(i < own && tokens[i] == token ? 1 : 0) != 0) return;
  }
  const std::int64_t column =
      (static_cast<std::int64_t>(blockIdx.y) * kEmbeddingThreads + threadIdx.x) * kChunk;
  const std::int64_t left = columns - column;
  float sum[kChunk] = {};
  for (std::int64_t first = own; first < count; first += kEmbeddingThreads) {
    const std::int64_t i = first + threadIdx.x;
    const unsigned matches = __ballot_sync(kAllLanes, i < count && tokens[i] == token ? 1 : 0);
    if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = matches;
    __syncthreads();
    for (int warp = 0; warp < kEmbeddingThreads / 32; ++warp) {
      for (unsigned bits = found[warp]; bits != 0; bits &= bits - 1) {
        const std::int64_t row = first + 32 * warp + (__ffs(static_cast<int>(bits)) - 1);
        if (left <= 0) continue;
        float more[kChunk];
        load(dy + row * columns + column, left, wide, more);
#pragma unroll
        for (int k = 0; k < kChunk; ++k) sum[k] += more[k];
      }
    }
    __syncthreads();
  }
  if (left <= 0) return;
  T* to = dtable + token * columns + column;
  float before[kChunk];
  load(to, left, wide, before);
#pragma unroll
  for (int k = 0; k < kChunk; ++k) sum[k] += before[k];
  store(sum, left, wide, to);
}

template <class T>
void copy_rows(const tensor::Device& device, const T* from, std::int64_t from_stride, Ids from_rows,
               Ids to_rows, std::int64_t rows, std::int64_t columns, T* to,
               std::int64_t to_stride) {
  const bool wide =
      is_wide(columns, from, to) && from_stride % kChunk == 0 && to_stride % kChunk == 0;
  launch(copy_rows_kernel<T>, grid_for(rows * ((columns + kChunk - 1) / kChunk)), dim3(kThreads), 0,
         compute_stream(device), from, from_stride, from_rows.data(), to_rows.data(), rows, columns,
         to_stride, wide, to);
}

template <class From, class To>
void convert_elements(View<const From> from, View<To> to) {
  const std::int64_t count = from.elements();
  launch(convert_kernel<From, To>, grid_for((count + kChunk - 1) / kChunk), dim3(kThreads), 0,
         compute_stream(to.device()), from.data(), count, is_wide(0, from.data(), to.data()),
         to.data());
}

}  // namespace

template <class T>
void Elementwise<T>::set_zero(View<T> x) {
  tensor::zero_bytes_async(x.data(), static_cast<std::size_t>(x.elements()) * sizeof(T),
                           compute_stream(x.device()));
}

template <class T>
void Elementwise<T>::add(View<const T> a, View<const T> b, View<T> out) {
  const std::int64_t count = a.elements();
  launch(add_kernel<T>, grid_for((count + kChunk - 1) / kChunk), dim3(kThreads), 0,
         compute_stream(out.device()), a.data(), b.data(), count,
         is_wide(0, a.data(), b.data(), out.data()), out.data());
}

template <class T>
void Elementwise<T>::copy_columns(View<const T> from, View<T> to) {
  copy_rows<T>(to.device(), from.data(), from.size(1), {}, {}, to.size(0), to.size(1), to.data(),
               to.size(1));
}

template <class T>
void Elementwise<T>::add_bias(View<T> x, View<const T> bias) {
  const std::int64_t chunks = (x.size(1) + kChunk - 1) / kChunk;
  launch(add_bias_kernel<T>, grid_for(x.size(0) * chunks), dim3(kThreads), 0,
         compute_stream(x.device()), x.data(), bias.data(), x.size(0), x.size(1),
         is_wide(x.size(1), x.data(), bias.data()));
}

template <class T>
void Elementwise<T>::bias_backward(View<const T> dy, View<T> dbias) {
  add_rows(dy.device(), dy.data(), dy.size(0), dy.size(1), dbias.data());
}

template <class T>
void Elementwise<T>::gather_rows(View<const T> from, Ids rows, View<T> to) {
  copy_rows<T>(to.device(), from.data(), from.size(1), rows, {}, to.size(0), to.size(1), to.data(),
               to.size(1));
}

template <class T>
void Elementwise<T>::scatter_rows(View<const T> from, Ids rows, View<T> to) {
  copy_rows<T>(to.device(), from.data(), from.size(1), {}, rows, from.size(0), from.size(1),
               to.data(), to.size(1));
}

template <class T>
void Elementwise<T>::embedding_backward(View<const T> dy, Ids tokens, View<T> dtable) {
  const std::int64_t columns = dy.size(1);
  const std::int64_t width = std::int64_t{kEmbeddingThreads} * kChunk;
  launch(
      embedding_backward_kernel<T>,
      dim3(static_cast<unsigned>(dy.size(0)), static_cast<unsigned>((columns + width - 1) / width)),
      dim3(kEmbeddingThreads), 0, compute_stream(dy.device()), dy.data(), tokens.data(), dy.size(0),
      columns, is_wide(columns, dy.data(), dtable.data()), dtable.data());
}

void convert(View<const float> from, View<bf16> to) { convert_elements(from, to); }
void convert(View<const bf16> from, View<float> to) { convert_elements(from, to); }

template struct Elementwise<float>;
template struct Elementwise<bf16>;

}  // namespace nativo::ops::cuda
