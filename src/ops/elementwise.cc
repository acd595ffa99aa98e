// Bound by memory: plain loops, cut in fixed pieces over the threads.
#include "ops/elementwise.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {
constexpr std::int64_t kPiece = 16384;
constexpr std::int64_t kRows = 64;
constexpr std::int64_t kColumns = 64;

template <class T>
void check_add(tensor::View<const T> a, tensor::View<const T> b, tensor::View<T> out) {
  NATIVO_CHECK(a.shape() == b.shape() && a.shape() == out.shape(), "add: shapes differ");
}

template <class T>
void check_columns(tensor::View<const T> from, tensor::View<T> to) {
  NATIVO_CHECK(from.size(0) == to.size(0) && to.size(1) <= from.size(1),
               "copy_columns: columns do not fit");
}

template <class T>
void check_bias(tensor::View<const T> x, tensor::View<const T> bias) {
  NATIVO_CHECK(x.shape().rank() == 2 && bias.shape() == tensor::Shape{x.size(1)},
               "a bias is not [C]");
}

/// `part` [n,C] and `whole` [N,C].
template <class T>
void check_rows(tensor::View<const T> part, tensor::View<const T> whole,
                std::span<const std::int32_t> rows) {
  NATIVO_CHECK(
      part.shape() == (tensor::Shape{static_cast<std::int64_t>(rows.size()), whole.size(1)}),
      "gather_rows, scatter_rows: shapes differ");
}
}  // namespace

void set_zero(tensor::View<float> x) {
  if (on_gpu(x)) return cuda::Elementwise<float>::set_zero(x);
  const std::int64_t count = x.elements();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    std::fill(x.data() + begin, x.data() + std::min(begin + kPiece, count), 0.0F);
  });
}

void add(tensor::View<const float> a, tensor::View<const float> b, tensor::View<float> out) {
  check_add(a, b, out);
  if (on_gpu(a, b, out)) return cuda::Elementwise<float>::add(a, b, out);
  const std::int64_t count = a.elements();
  const float* left = a.data();
  const float* right = b.data();
  float* to = out.data();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    const std::int64_t end = std::min(begin + kPiece, count);
    for (std::int64_t i = begin; i < end; ++i) to[i] = left[i] + right[i];
  });
}

void copy_columns(tensor::View<const float> from, tensor::View<float> to) {
  check_columns(from, to);
  if (on_gpu(from, to)) return cuda::Elementwise<float>::copy_columns(from, to);
  const std::int64_t rows = to.size(0);
  parallel_for(static_cast<std::size_t>((rows + kRows - 1) / kRows), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kRows;
    for (std::int64_t row = first; row < std::min(rows, first + kRows); ++row) {
      std::memcpy(to.data() + row * to.size(1), from.data() + row * from.size(1),
                  static_cast<std::size_t>(to.size(1)) * sizeof(float));
    }
  });
}

void add_bias(tensor::View<float> x, tensor::View<const float> bias) {
  check_bias<float>(x, bias);
  if (on_gpu(x, bias)) return cuda::Elementwise<float>::add_bias(x, bias);
  const std::int64_t rows = x.size(0);
  const std::int64_t columns = x.size(1);
  parallel_for(static_cast<std::size_t>((rows + kRows - 1) / kRows), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kRows;
    for (std::int64_t row = first; row < std::min(rows, first + kRows); ++row) {
      float* to = x.data() + row * columns;
      for (std::int64_t i = 0; i < columns; ++i) to[i] += bias.data()[i];
    }
  });
}

void bias_backward(tensor::View<const float> dy, tensor::View<float> dbias) {
  check_bias<float>(dy, dbias);
  if (on_gpu(dy, dbias)) return cuda::Elementwise<float>::bias_backward(dy, dbias);
  const std::int64_t columns = dy.size(1);
  parallel_for(static_cast<std::size_t>((columns + kColumns - 1) / kColumns),
               [&](std::size_t tile) {
                 const std::int64_t first = static_cast<std::int64_t>(tile) * kColumns;
                 const std::int64_t count = std::min(kColumns, columns - first);
                 std::array<double, kColumns> sum{};
                 for (std::int64_t row = 0; row < dy.size(0); ++row) {
                   const float* from = dy.data() + row * columns + first;
                   for (std::int64_t i = 0; i < count; ++i) {
                     sum[static_cast<std::size_t>(i)] += static_cast<double>(from[i]);
                   }
                 }
                 for (std::int64_t i = 0; i < count; ++i) {
                   dbias.data()[first + i] += static_cast<float>(sum[static_cast<std::size_t>(i)]);
                 }
               });
}

void gather_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                 tensor::View<float> to) {
  check_rows<float>(to, from, rows);
  if (on_gpu(from, to)) return cuda::Elementwise<float>::gather_rows(from, rows, to);
  const std::int64_t columns = from.size(1);
  parallel_for((rows.size() + 63) / 64, [&](std::size_t block) {
    for (std::size_t i = block * 64; i < std::min(rows.size(), block * 64 + 64); ++i) {
      std::memcpy(to.data() + static_cast<std::int64_t>(i) * columns,
                  from.data() + rows[i] * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

void scatter_rows(tensor::View<const float> from, std::span<const std::int32_t> rows,
                  tensor::View<float> to) {
  check_rows<float>(from, to, rows);
  if (on_gpu(from, to)) return cuda::Elementwise<float>::scatter_rows(from, rows, to);
  const std::int64_t columns = to.size(1);
  parallel_for((rows.size() + 63) / 64, [&](std::size_t block) {
    for (std::size_t i = block * 64; i < std::min(rows.size(), block * 64 + 64); ++i) {
      std::memcpy(to.data() + rows[i] * columns,
                  from.data() + static_cast<std::int64_t>(i) * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

void convert(tensor::View<const float> from, tensor::View<tensor::bf16> to) {
  NATIVO_CHECK(from.shape() == to.shape(), "convert: shapes differ");
  if (on_gpu(from, to)) return cuda::convert(from, to);
  const std::int64_t count = from.elements();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    for (std::int64_t i = begin; i < std::min(begin + kPiece, count); ++i) {
      to.data()[i] = tensor::to_bf16(from.data()[i]);
    }
  });
}

void convert(tensor::View<const tensor::bf16> from, tensor::View<float> to) {
  NATIVO_CHECK(from.shape() == to.shape(), "convert: shapes differ");
  if (on_gpu(from, to)) return cuda::convert(from, to);
  const std::int64_t count = from.elements();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    for (std::int64_t i = begin; i < std::min(begin + kPiece, count); ++i) {
      to.data()[i] = tensor::to_f32(from.data()[i]);
    }
  });
}

void set_zero(tensor::View<tensor::bf16> x) {
  require_gpu(x);
  cuda::Elementwise<tensor::bf16>::set_zero(x);
}

void add(tensor::View<const tensor::bf16> a, tensor::View<const tensor::bf16> b,
         tensor::View<tensor::bf16> out) {
  check_add(a, b, out);
  require_gpu(a, b, out);
  cuda::Elementwise<tensor::bf16>::add(a, b, out);
}

void copy_columns(tensor::View<const tensor::bf16> from, tensor::View<tensor::bf16> to) {
  check_columns(from, to);
  require_gpu(from, to);
  cuda::Elementwise<tensor::bf16>::copy_columns(from, to);
}

void add_bias(tensor::View<tensor::bf16> x, tensor::View<const tensor::bf16> bias) {
  check_bias<tensor::bf16>(x, bias);
  require_gpu(x, bias);
  cuda::Elementwise<tensor::bf16>::add_bias(x, bias);
}

void bias_backward(tensor::View<const tensor::bf16> dy, tensor::View<tensor::bf16> dbias) {
  check_bias<tensor::bf16>(dy, dbias);
  require_gpu(dy, dbias);
  cuda::Elementwise<tensor::bf16>::bias_backward(dy, dbias);
}

void gather_rows(tensor::View<const tensor::bf16> from, std::span<const std::int32_t> rows,
                 tensor::View<tensor::bf16> to) {
  check_rows<tensor::bf16>(to, from, rows);
  require_gpu(from, to);
  cuda::Elementwise<tensor::bf16>::gather_rows(from, rows, to);
}

void scatter_rows(tensor::View<const tensor::bf16> from, std::span<const std::int32_t> rows,
                  tensor::View<tensor::bf16> to) {
  check_rows<tensor::bf16>(from, to, rows);
  require_gpu(from, to);
  cuda::Elementwise<tensor::bf16>::scatter_rows(from, rows, to);
}

}  // namespace nativo::ops
