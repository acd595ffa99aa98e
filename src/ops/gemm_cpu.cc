// oneDNN's sgemm, one tile a thread, and a matrix-vector product for decoding.
#include "ops/gemm_cpu.h"

#include <dnnl.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemm_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Rows [begin, end) of y = weight x. Four accumulators hide the latency of the addition.
void gemv_rows(const float* weight, const float* x, std::int64_t inputs, std::int64_t begin,
               std::int64_t end, float* y) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = begin; row < end; ++row) {
    const float* w = weight + row * inputs;
    auto sum0 = hn::Zero(d);
    auto sum1 = hn::Zero(d);
    auto sum2 = hn::Zero(d);
    auto sum3 = hn::Zero(d);
    std::int64_t i = 0;
    for (; i + 4 * lanes <= inputs; i += 4 * lanes) {
      sum0 = hn::MulAdd(hn::LoadU(d, w + i), hn::LoadU(d, x + i), sum0);
      sum1 = hn::MulAdd(hn::LoadU(d, w + i + lanes), hn::LoadU(d, x + i + lanes), sum1);
      sum2 = hn::MulAdd(hn::LoadU(d, w + i + 2 * lanes), hn::LoadU(d, x + i + 2 * lanes), sum2);
      sum3 = hn::MulAdd(hn::LoadU(d, w + i + 3 * lanes), hn::LoadU(d, x + i + 3 * lanes), sum3);
    }
    for (; i + lanes <= inputs; i += lanes) {
      sum0 = hn::MulAdd(hn::LoadU(d, w + i), hn::LoadU(d, x + i), sum0);
    }
    float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
    for (; i < inputs; ++i) total += w[i] * x[i];
    y[row] = total;
  }
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(gemv_rows);

/// Processors of the machine, used or not: tiles follow from them, threads do not.
std::int64_t processors() {
  static const std::int64_t count = std::clamp<std::int64_t>(sysconf(_SC_NPROCESSORS_CONF), 2, 64);
  return count;
}

struct Tile {
  std::int64_t rows, columns;
};

constexpr std::int64_t kLeastSide = 96;  ///< of a tile that is not the whole side
constexpr std::int64_t kRowUnit = 16;    ///< oneDNN's kernel writes 8 rows by 48 columns at a time
constexpr std::int64_t kColumnUnit = 48;
/// oneDNN packs a tile's operands anew for each tile: as long as this many further rows of the
/// other operand take to multiply.
constexpr double kPackingCost = 20.0;

/// `size` in `parts` equal pieces of whole units.
std::int64_t piece(std::int64_t size, std::int64_t parts, std::int64_t unit) {
  const std::int64_t units = (size + unit - 1) / unit;
  return (units + parts - 1) / parts * unit;
}

/// Tiles of a result [rows,columns], large and near to squares, that occupy all processors: on 16
/// of them smaller ones than on 2.
Tile choose_tile(std::int64_t rows, std::int64_t columns) {
  const auto pieces = [](std::int64_t size, std::int64_t side) { return (size + side - 1) / side; };
  const std::int64_t most = 4 * processors();
  const std::int64_t row_cuts = std::clamp<std::int64_t>(rows / kLeastSide, 1, most);
  const std::int64_t column_cuts = std::clamp<std::int64_t>(columns / kLeastSide, 1, most);
  Tile best{rows, columns};
  double best_time = std::numeric_limits<double>::infinity();
  for (std::int64_t i = 1; i <= row_cuts; ++i) {
    const std::int64_t tile_rows = piece(rows, i, kRowUnit);
    for (std::int64_t j = 1; j <= column_cuts; ++j) {
      const std::int64_t tile_columns = piece(columns, j, kColumnUnit);
      const std::int64_t tiles = pieces(rows, tile_rows) * pieces(columns, tile_columns);
      const auto height = static_cast<double>(tile_rows);
      const auto width = static_cast<double>(tile_columns);
      const double time = static_cast<double>(pieces(tiles, processors())) * height * width *
                          (1.0 + kPackingCost / height + kPackingCost / width);
      if (time < best_time) {
        best_time = time;
        best = {tile_rows, tile_columns};
      }
    }
  }
  return best;
}

}  // namespace

namespace cpu {

void gemm(const Gemm& gemm) {
  if (gemm.m == 0 || gemm.n == 0) return;
  if (gemm.k == 0) {  // an empty sum, which oneDNN does not accept
    for (std::int64_t i = 0; gemm.beta == 0.0F && i < gemm.m; ++i) {
      std::fill_n(gemm.c + i * gemm.ldc, gemm.n, 0.0F);
    }
    return;
  }
  const Tile size = choose_tile(gemm.m, gemm.n);
  const std::int64_t columns = (gemm.n + size.columns - 1) / size.columns;
  const std::int64_t tiles = (gemm.m + size.rows - 1) / size.rows * columns;
  // Inside a parallel region oneDNN computes on the calling thread alone.
  parallel_for(static_cast<std::size_t>(tiles), [&](std::size_t tile) {
    const std::int64_t i = static_cast<std::int64_t>(tile) / columns * size.rows;
    const std::int64_t j = static_cast<std::int64_t>(tile) % columns * size.columns;
    const float* a = gemm.a + (gemm.transpose_a == 'N' ? i * gemm.lda : i);
    const float* b = gemm.b + (gemm.transpose_b == 'N' ? j : j * gemm.ldb);
    const dnnl_status_t status =
        dnnl_sgemm(gemm.transpose_a, gemm.transpose_b, std::min(size.rows, gemm.m - i),
                   std::min(size.columns, gemm.n - j), gemm.k, 1.0F, a, gemm.lda, b, gemm.ldb,
                   gemm.beta, gemm.c + i * gemm.ldc + j, gemm.ldc);
    if (status == dnnl_out_of_memory) {
      throw Error(ExitCode::kTryAgain, "not enough memory for a matrix product");
    }
    NATIVO_CHECK(status == dnnl_success, "oneDNN refused a matrix product");
  });
}

void gemv(const float* weight, const float* x, std::int64_t outputs, std::int64_t inputs,
          float* y) {
  // Some 64 KiB of weights an item: enough to be worth handing out.
  const std::int64_t rows = std::clamp<std::int64_t>(16384 / std::max<std::int64_t>(inputs, 1), 1,
                                                     std::max<std::int64_t>(outputs, 1));
  parallel_for(static_cast<std::size_t>((outputs + rows - 1) / rows), [&](std::size_t item) {
    const std::int64_t begin = static_cast<std::int64_t>(item) * rows;
    HWY_DYNAMIC_DISPATCH(gemv_rows)(weight, x, inputs, begin, std::min(begin + rows, outputs), y);
  });
}

}  // namespace cpu
}  // namespace nativo::ops
#endif  // HWY_ONCE
