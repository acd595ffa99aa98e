// Bound by memory: plain loops, cut in fixed pieces over the threads.
#include "ops/elementwise.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"

namespace nativo::ops {
namespace {
constexpr std::int64_t kPiece = 16384;
constexpr std::int64_t kRows = 64;
constexpr std::int64_t kColumns = 64;
}  // namespace

void set_zero(tensor::View<float> x) {
  const std::int64_t count = x.elements();
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    const std::int64_t begin = static_cast<std::int64_t>(piece) * kPiece;
    std::fill(x.data() + begin, x.data() + std::min(begin + kPiece, count), 0.0F);
  });
}

void add(tensor::View<const float> a, tensor::View<const float> b, tensor::View<float> out) {
  NATIVO_CHECK(a.shape() == b.shape() && a.shape() == out.shape(), "add: shapes differ");
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
  NATIVO_CHECK(from.size(0) == to.size(0) && to.size(1) <= from.size(1),
               "copy_columns: columns do not fit");
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
  NATIVO_CHECK(x.shape().rank() == 2 && bias.shape() == tensor::Shape{x.size(1)},
               "add_bias: bias is not [C]");
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
  NATIVO_CHECK(dy.shape().rank() == 2 && dbias.shape() == tensor::Shape{dy.size(1)},
               "bias_backward: bias is not [C]");
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
  NATIVO_CHECK(to.shape() == (tensor::Shape{static_cast<std::int64_t>(rows.size()), from.size(1)}),
               "gather_rows: shapes differ");
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
  NATIVO_CHECK(from.shape() == (tensor::Shape{static_cast<std::int64_t>(rows.size()), to.size(1)}),
               "scatter_rows: shapes differ");
  const std::int64_t columns = to.size(1);
  parallel_for((rows.size() + 63) / 64, [&](std::size_t block) {
    for (std::size_t i = block * 64; i < std::min(rows.size(), block * 64 + 64); ++i) {
      std::memcpy(to.data() + rows[i] * columns,
                  from.data() + static_cast<std::int64_t>(i) * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

}  // namespace nativo::ops
