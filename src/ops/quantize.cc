// Checks shapes, keeps the scales, and hands rows to the device's kernel. See the header.
#include "ops/quantize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/quantize_cpu.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

std::int64_t blocks_of(std::int64_t columns) { return (columns + kQuantBlock - 1) / kQuantBlock; }

void check_matrix(const QuantizedMatrix& matrix) {
  const QuantizedShapes shapes =
      quantized_shapes(matrix.format, matrix.scale_format, matrix.rows, matrix.columns);
  NATIVO_CHECK(matrix.codes.shape() == shapes.codes && matrix.scales.shape() == shapes.scales &&
                   matrix.scale_codes.shape() == shapes.scale_codes &&
                   matrix.scale_ranges.shape() == shapes.scale_ranges,
               "a quantised matrix has the parts of quantized_shapes()");
}

template <class T>
void check_rows(const QuantizedMatrix& from, std::int64_t first, tensor::View<T> out) {
  check_matrix(from);
  NATIVO_CHECK(out.shape().rank() == 2 && out.size(1) == from.columns && first >= 0 &&
                   first + out.size(0) <= from.rows,
               "dequantize: rows outside the matrix");
}

template <class T>
bool dequantizes_on_gpu(const QuantizedMatrix& from, tensor::View<T> out) {
  return from.scale_format == ScaleFormat::kF32
             ? on_gpu(out, from.codes, from.scales)
             : on_gpu(out, from.codes, from.scale_codes, from.scale_ranges);
}

float decoded_scale(const QuantizedMatrix& matrix, std::int64_t index) {
  const float* range = matrix.scale_ranges.data() + index / kScaleGroup * 2;
  return range[0] + range[1] * static_cast<float>(matrix.scale_codes.data()[index]);
}

/// The scales of one row: in place, or decoded into `buffer` (at least one a block).
const float* row_scales(const QuantizedMatrix& matrix, std::int64_t row, float* buffer) {
  const std::int64_t blocks = blocks_of(matrix.columns);
  if (matrix.scale_format == ScaleFormat::kF32) return matrix.scales.data() + row * blocks;
  for (std::int64_t b = 0; b < blocks; ++b) buffer[b] = decoded_scale(matrix, row * blocks + b);
  return buffer;
}

/// 8 bits for each scale, evenly spaced over its group's range.
void encode_scales(std::span<const float> scales, const QuantizedMatrix& to) {
  const auto count = static_cast<std::int64_t>(scales.size());
  for (std::int64_t group = 0; group * kScaleGroup < count; ++group) {
    const std::int64_t begin = group * kScaleGroup;
    const std::int64_t end = std::min(begin + kScaleGroup, count);
    const auto [least, greatest] =
        std::minmax_element(scales.begin() + begin, scales.begin() + end);
    const float step = (*greatest - *least) / 255.0F;
    to.scale_ranges.data()[2 * group] = *least;
    to.scale_ranges.data()[2 * group + 1] = step;
    for (std::int64_t i = begin; i < end; ++i) {
      const float level =
          step > 0.0F ? (scales[static_cast<std::size_t>(i)] - *least) / step : 0.0F;
      to.scale_codes.data()[i] =
          static_cast<std::uint8_t>(std::clamp(std::nearbyint(level), 0.0F, 255.0F));
    }
  }
}

}  // namespace

std::int64_t QuantizedShapes::bytes() const {
  return codes.elements() + scale_codes.elements() +
         static_cast<std::int64_t>(sizeof(float)) * (scales.elements() + scale_ranges.elements());
}

QuantizedShapes quantized_shapes(QuantFormat format, ScaleFormat scales, std::int64_t rows,
                                 std::int64_t columns) {
  const std::int64_t blocks = blocks_of(columns);
  QuantizedShapes shapes;
  shapes.codes = {rows, blocks * (format == QuantFormat::kNf4 ? kQuantBlock / 2 : kQuantBlock)};
  const bool plain = scales == ScaleFormat::kF32;
  shapes.scales = plain ? tensor::Shape{rows, blocks} : tensor::Shape{0, 0};
  shapes.scale_codes = plain ? tensor::Shape{0, 0} : tensor::Shape{rows, blocks};
  shapes.scale_ranges = {plain ? 0 : (rows * blocks + kScaleGroup - 1) / kScaleGroup, 2};
  return shapes;
}

void quantize(tensor::View<const float> weight, const QuantizedMatrix& to) {
  check_matrix(to);
  NATIVO_CHECK(weight.shape() == tensor::Shape({to.rows, to.columns}), "quantize: shapes differ");
  const std::int64_t blocks = blocks_of(to.columns);
  const auto row_of = [&](std::size_t row) {
    return weight.data() + static_cast<std::int64_t>(row) * to.columns;
  };
  // A doubly quantised matrix needs all exact scales before the first code.
  std::vector<float> exact;
  float* scales = to.scales.data();
  if (to.scale_format == ScaleFormat::kDouble) {
    exact.resize(static_cast<std::size_t>(to.rows * blocks));
    scales = exact.data();
  }
  const auto rows = static_cast<std::size_t>(to.rows);
  parallel_for(rows, [&](std::size_t row) {
    float* own = scales + static_cast<std::int64_t>(row) * blocks;
    cpu::block_scales(row_of(row), to.columns, own);
    for (std::int64_t b = 0; b < blocks; ++b) {
      if (!std::isfinite(own[b])) {
        throw Error(ExitCode::kData, "a weight that is not finite cannot be quantised");
      }
    }
  });
  if (to.scale_format == ScaleFormat::kDouble) encode_scales(exact, to);
  parallel_for(rows, [&](std::size_t row) {
    std::vector<float> buffer(static_cast<std::size_t>(blocks));
    const auto index = static_cast<std::int64_t>(row);
    cpu::encode_row(to.format, row_of(row), to.columns, row_scales(to, index, buffer.data()),
                    to.codes.data() + index * to.codes.size(1));
  });
}

void dequantize_rows(const QuantizedMatrix& from, std::int64_t first, tensor::View<float> out) {
  check_rows(from, first, out);
  if (dequantizes_on_gpu(from, out)) {
    return cuda::Quantized<float>::dequantize_rows(from, first, out);
  }
  const std::int64_t blocks = blocks_of(from.columns);
  // Some 64 KiB of results an item: enough to be worth handing out.
  const std::int64_t piece =
      std::max<std::int64_t>(16384 / std::max<std::int64_t>(from.columns, 1), 1);
  const std::int64_t count = out.size(0);
  parallel_for(static_cast<std::size_t>((count + piece - 1) / piece), [&](std::size_t item) {
    std::vector<float> buffer(static_cast<std::size_t>(blocks));
    const std::int64_t begin = static_cast<std::int64_t>(item) * piece;
    for (std::int64_t row = begin; row < std::min(begin + piece, count); ++row) {
      cpu::decode_row(from.format, from.codes.data() + (first + row) * from.codes.size(1),
                      row_scales(from, first + row, buffer.data()), from.columns,
                      out.data() + row * from.columns);
    }
  });
}

void dequantize_rows(const QuantizedMatrix& from, std::int64_t first,
                     tensor::View<tensor::bf16> out) {
  check_rows(from, first, out);
  NATIVO_CHECK(dequantizes_on_gpu(from, out), "arithmetic in bf16 is a GPU's");
  cuda::Quantized<tensor::bf16>::dequantize_rows(from, first, out);
}

}  // namespace nativo::ops
