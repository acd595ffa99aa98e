#include "dedup/sketch_index.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/parallel.h"

namespace nativo::dedup {
namespace {

constexpr std::size_t kPanelRows = 32;   // stored vectors a tile: two AVX-512 registers a query
constexpr std::size_t kTileQueries = 4;  // queries a tile: eight accumulators stay in registers
using Tile = std::array<float, kTileQueries * kPanelRows>;

/// products[q][r] = <query q, panel row r>. Plain loops; the callers compile them for their
/// processor.
[[gnu::always_inline]] inline void multiply(const float* queries, const float* panel,
                                            std::size_t dimension, Tile& products) {
  float sums[kTileQueries][kPanelRows] = {};
  for (std::size_t d = 0; d < dimension; ++d) {
    const float* values = panel + d * kPanelRows;
    for (std::size_t q = 0; q < kTileQueries; ++q) {
      const float factor = queries[q * dimension + d];
      for (std::size_t r = 0; r < kPanelRows; ++r) sums[q][r] += factor * values[r];
    }
  }
  for (std::size_t q = 0; q < kTileQueries; ++q) {
    std::copy_n(sums[q], kPanelRows, products.data() + q * kPanelRows);
  }
}

using Multiply = void (*)(const float*, const float*, std::size_t, Tile&);

void multiply_plain(const float* queries, const float* panel, std::size_t dimension,
                    Tile& products) {
  multiply(queries, panel, dimension, products);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void multiply_avx2(const float* queries, const float* panel,
                                               std::size_t dimension, Tile& products) {
  multiply(queries, panel, dimension, products);
}
#if defined(__clang__)
[[gnu::target("avx512f")]]  // clang does not know the width
#else
[[gnu::target("avx512f,prefer-vector-width=512")]]
#endif
void multiply_avx512(const float* queries, const float* panel, std::size_t dimension,
                     Tile& products) {
  multiply(queries, panel, dimension, products);
}
#endif

Multiply best_multiply() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) return multiply_avx512;
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return multiply_avx2;
  }
#endif
  return multiply_plain;
}

}  // namespace

SketchIndex::SketchIndex(std::size_t dimension) : dimension_(dimension) {
  NATIVO_CHECK(dimension > 0, "vectors have a length");
}

void SketchIndex::add(std::span<const float> vector) {
  NATIVO_CHECK(vector.size() == dimension_, "all vectors have the index's length");
  const std::size_t row = size_ % kPanelRows;
  if (row == 0) panels_.resize(panels_.size() + dimension_ * kPanelRows);
  float* panel = panels_.data() + (size_ / kPanelRows) * dimension_ * kPanelRows;
  for (std::size_t d = 0; d < dimension_; ++d) panel[d * kPanelRows + row] = vector[d];
  ++size_;
}

std::vector<std::vector<Hit>> SketchIndex::search(std::span<const float> queries,
                                                  float threshold) const {
  NATIVO_CHECK(queries.size() % dimension_ == 0, "queries are whole vectors");
  static const Multiply multiply_tile = best_multiply();
  const std::size_t count = queries.size() / dimension_;
  std::vector<std::vector<Hit>> hits(count);
  // Panels in the outer loop of a group of queries: a panel (48 KiB) stays in the cache for all of
  // them.
  constexpr std::size_t kGroup = 16 * kTileQueries;
  const std::size_t panels = (size_ + kPanelRows - 1) / kPanelRows;
  parallel_for((count + kGroup - 1) / kGroup, [&](std::size_t group) {
    const std::size_t begin = group * kGroup;
    const std::size_t end = std::min(count, begin + kGroup);
    std::vector<float> padded;
    Tile products;
    for (std::size_t p = 0; p < panels; ++p) {
      const float* panel = panels_.data() + p * dimension_ * kPanelRows;
      const std::size_t rows = std::min(kPanelRows, size_ - p * kPanelRows);
      for (std::size_t q = begin; q < end; q += kTileQueries) {
        const std::size_t real = std::min(kTileQueries, end - q);
        const float* tile = queries.data() + q * dimension_;
        if (real < kTileQueries) {
          padded.assign(kTileQueries * dimension_, 0.0F);
          std::copy_n(tile, real * dimension_, padded.data());
          tile = padded.data();
        }
        multiply_tile(tile, panel, dimension_, products);
        for (std::size_t i = 0; i < real; ++i) {
          const float* row = products.data() + i * kPanelRows;
          if (*std::max_element(row, row + rows) < threshold) continue;
          for (std::size_t r = 0; r < rows; ++r) {
            if (row[r] < threshold) continue;
            hits[q + i].push_back(
                {.row = static_cast<std::uint32_t>(p * kPanelRows + r), .product = row[r]});
          }
        }
      }
    }
  });
  return hits;
}

}  // namespace nativo::dedup
