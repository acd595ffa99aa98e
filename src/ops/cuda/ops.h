// What the ops dispatch to on a GPU: the same contracts, for T = float and bf16; shapes are already
// checked. Not for other folders. Rule: everything runs on the device's compute stream and returns
// at once; ids, positions, targets and such lie on the device, too.
#pragma once

#include <cstdint>
#include <span>

#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/fp8.h"
#include "ops/quantize.h"
#include "ops/random_key.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"
#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops::cuda {

using tensor::View;
using Ids = std::span<const std::int32_t>;

/// c[m,n] = alpha op(a) op(b) + beta c (+ bias[n] in each row), row-major; 'T' means that the
/// stored matrix is the transpose.
template <class T>
struct Gemm {
  char transpose_a = 'N';
  char transpose_b = 'N';
  std::int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  std::int64_t lda = 0;
  const T* b = nullptr;
  std::int64_t ldb = 0;
  T* c = nullptr;
  std::int64_t ldc = 0;
  float alpha = 1.0F;
  float beta = 0.0F;
  const T* bias = nullptr;
};
template <class T>
void gemm(const tensor::Device& device, const Gemm<T>& gemm);

/// A factor in FP8, row-major: codes times *scale. Both lie on the device.
struct Fp8Factor {
  std::uint8_t* codes = nullptr;
  float* scale = nullptr;
  Fp8Format format = Fp8Format::kE4M3;
};
/// `to` becomes x[rows, columns], or its transpose; both sizes are multiples of 16. `largest` has
/// kFp8Parts numbers of scratch.
void quantize_fp8(View<const tensor::bf16> x, bool transposed, float* largest, const Fp8Factor& to);

/// c[m,n] = a[m,k] b[n,k]^T, added to what is there when it accumulates; at most one factor is
/// E5M2. `fast_sums` lets tensor cores keep fewer bits of a sum than f32 has.
struct Fp8Gemm {
  std::int64_t m = 0, n = 0, k = 0;
  Fp8Factor a;
  Fp8Factor b;
  tensor::bf16* c = nullptr;
  bool accumulates = false;
  bool fast_sums = false;
};
void gemm(const tensor::Device& device, const Fp8Gemm& gemm);

template <class T>
struct Elementwise {
  static void set_zero(View<T> x);
  static void add(View<const T> a, View<const T> b, View<T> out);
  static void copy_columns(View<const T> from, View<T> to);
  static void add_bias(View<T> x, View<const T> bias);
  static void bias_backward(View<const T> dy, View<T> dbias);
  static void gather_rows(View<const T> from, Ids rows, View<T> to);
  static void scatter_rows(View<const T> from, Ids rows, View<T> to);
  static void embedding_backward(View<const T> dy, Ids tokens, View<T> dtable);
};

template <class T>
struct Random {
  static void dropout(View<const T> x, const RandomKey& key, double p, View<T> out);
  static void dropout_add(View<const T> x, const RandomKey& key, double p, View<T> sum);
  static void add_uniform_noise(View<T> x, const RandomKey& key, float magnitude);
};

template <class T>
struct Activations {
  static void swiglu_forward(View<const T> gate_up, View<T> act);
  static void swiglu_backward(View<T> gate_up, View<T> dact);
  static void rope(View<T> x, std::int64_t heads, Ids positions, View<const float> cosine,
                   View<const float> sine, Rotation rotation);
};

template <class T>
struct Quantized {
  static void dequantize_rows(const QuantizedMatrix& from, std::int64_t first, View<T> out);
};
/// From one element type to the other.
void convert(View<const float> from, View<tensor::bf16> to);
void convert(View<const tensor::bf16> from, View<float> to);

/// Rows of a matrix, or `count` heads of size `dim` in each row from head `first` on.
struct NormRows {
  std::int64_t rows = 0;
  std::int64_t first = 0;
  std::int64_t count = 1;
  std::int64_t dim = 0;
  std::int64_t x_stride = 0;
  std::int64_t y_stride = 0;
  std::int64_t rstd_stride = 1;
};

/// Rows of (row, head) that one row of `partial` sums.
inline constexpr std::int64_t kNormGroup = 32;
/// Longest row of a norm.
inline constexpr std::int64_t kLongestNorm = 32768;

template <class T>
struct Rmsnorm {
  /// With `added`, x is sum = x + added, which is stored.
  static void forward(const tensor::Device& device, const NormRows& rows, const T* x,
                      const T* added, T* sum, const T* weight, float eps, T* y, float* rstd);
  static void apply(const tensor::Device& device, const NormRows& rows, const T* x, const T* weight,
                    const float* rstd, T* y);
  /// dx += or, with `overwrite`, =. dx has dy's strides then, and may be dy.
  static void backward(const tensor::Device& device, const NormRows& rows, const T* dy, const T* x,
                       const T* weight, const float* rstd, bool overwrite, T* dx, T* dweight,
                       float* partial);
};

template <class T>
struct Classifier {
  static void forward(View<const T> logits, Ids targets, std::span<double> log_prob,
                      std::span<std::int32_t> argmax);
  static void forward_backward(View<T> logits, Ids targets, const CrossEntropy& options,
                               std::span<double> log_prob, std::span<double> loss);
};

/// Floats of scratch for attention; known without CUDA, too, for plans.
[[nodiscard]] inline std::int64_t attention_workspace(const AttentionShape& shape) {
  return shape.rows * shape.length * shape.heads;
}

template <class T>
struct Attention {
  static void forward(const AttentionShape& shape, View<const T> qkv, Ids first_key, View<T> out,
                      View<float> lse, View<float> workspace);
  static void backward(const AttentionShape& shape, View<const T> qkv, Ids first_key,
                       View<const T> out, View<const T> dout, View<const float> lse, View<T> dqkv,
                       View<float> workspace);
  static void store(std::int64_t heads, View<const T> qkv, std::int64_t past, View<T> keys,
                    View<T> values);
  static void cached(std::int64_t heads, View<const T> q, View<const T> keys, View<const T> values,
                     std::int64_t past, Ids first_key, View<T> out);
};

template <class T>
struct Optimizer {
  static void adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                    View<const T> gradient, View<float> m, View<float> v);
  static void adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                    View<const T> gradient, View<tensor::bf16> m, View<tensor::bf16> v);
  static void adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                    View<const T> gradient, const Int8MomentViews& moments);
  static void sums_of_squares(View<const T> x, View<double> sums);
};

}  // namespace nativo::ops::cuda
