// Checks shapes and chooses tiles. See the header.
#include "ops/gemm.h"

#include <algorithm>

#include "base/error.h"
#include "ops/gemm_cpu.h"

namespace nativo::ops {
namespace {

/// Tile of an [N, *] result: whole rows, because packing the weights again for each column tile
/// costs more than it gives; 256 rows keep a tile of the tiny model in the L2 cache.
constexpr std::int64_t kRowTile = 256;

/// Wide results are cut in columns too, so that few rows still occupy all threads.
std::int64_t column_tile(std::int64_t rows, std::int64_t columns) {
  return rows >= 4 * kRowTile ? columns : std::min<std::int64_t>(columns, 1024);
}

void check_linear(tensor::View<const float> rows_out, tensor::View<const float> rows_in,
                  tensor::View<const float> weight) {
  NATIVO_CHECK(
      rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2 && weight.shape().rank() == 2,
      "linear takes matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "linear: rows differ");
  NATIVO_CHECK(rows_out.size(1) == weight.size(0), "linear: outputs differ");
  NATIVO_CHECK(rows_in.size(1) == weight.size(1), "linear: inputs differ");
}

}  // namespace

void linear_forward(tensor::View<const float> x, tensor::View<const float> weight,
                    tensor::View<float> y) {
  check_linear(y, x, weight);
  const std::int64_t rows = x.size(0);
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  if (rows == 1) {
    cpu::gemv(weight.data(), x.data(), outputs, inputs, y.data());
    return;
  }
  cpu::gemm_tiled({'N', 'T', rows, outputs, inputs, x.data(), inputs, weight.data(), inputs, 0.0F,
                   y.data(), outputs},
                  kRowTile, column_tile(rows, outputs));
}

void linear_backward_input(tensor::View<const float> dy, tensor::View<const float> weight,
                           tensor::View<float> dx, Write write) {
  check_linear(dy, dx, weight);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  cpu::gemm_tiled({'N', 'N', rows, inputs, outputs, dy.data(), outputs, weight.data(), inputs,
                   write == Write::kAccumulate ? 1.0F : 0.0F, dx.data(), inputs},
                  kRowTile, column_tile(rows, inputs));
}

void linear_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight) {
  check_linear(dy, x, dweight);
  const std::int64_t rows = dy.size(0);
  const std::int64_t outputs = dweight.size(0);
  const std::int64_t inputs = dweight.size(1);
  const std::int64_t tile_m = outputs >= 2048 ? 512 : 128;
  const std::int64_t tile_n = outputs >= 1024 ? 512 : 96;
  cpu::gemm_tiled({'T', 'N', outputs, inputs, rows, dy.data(), outputs, x.data(), inputs, 1.0F,
                   dweight.data(), inputs},
                  tile_m, tile_n);
}

}  // namespace nativo::ops
