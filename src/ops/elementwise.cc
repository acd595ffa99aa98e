// Bound by memory: plain loops, cut in fixed pieces over the threads.
#include "ops/elementwise.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"

namespace nativo::ops {
namespace {
constexpr std::int64_t kPiece = 16384;
}  // namespace

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
  std::fill(to.data(), to.data() + to.elements(), 0.0F);
  parallel_for((rows.size() + 63) / 64, [&](std::size_t block) {
    for (std::size_t i = block * 64; i < std::min(rows.size(), block * 64 + 64); ++i) {
      std::memcpy(to.data() + rows[i] * columns,
                  from.data() + static_cast<std::int64_t>(i) * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

}  // namespace nativo::ops
