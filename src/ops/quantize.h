// Frozen weights in 8 or 4 bits: stored small, turned back into f32 a panel at a time. Not here:
// products with them (ops/quantized_gemm.h). Rule: a row stands alone, so any rows can be read
// without the others, and the bits depend on nothing but the weights.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

/// kInt8: value = code * scale / 127 with code in [-127, 127].
/// kNf4: value = kNf4Levels[code] * scale, 4-bit NormalFloat (Dettmers et al., "QLoRA",
/// arXiv:2305.14314, appendix E).
enum class QuantFormat { kInt8, kNf4 };

/// How the scales themselves are kept. kDouble: 8 bits each between the least and the greatest of
/// 256 scales, as QLoRA's double quantisation but with evenly spaced levels.
enum class ScaleFormat { kF32, kDouble };

/// Weights that share a scale, the greatest magnitude among them (absmax): 64 neighbours in a row,
/// the last block of a row may be shorter.
inline constexpr std::int64_t kQuantBlock = 64;
/// Neighbouring scales (in row-major order) that share a range when doubly quantised.
inline constexpr std::int64_t kScaleGroup = 256;

/// The quantiles of a normal distribution with an exact zero, bitsandbytes' order.
inline constexpr float kNf4Levels[16] = {
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};

/// Shapes of the four parts of a quantised [R,C] matrix, b = ceil(C / kQuantBlock).
struct QuantizedShapes {
  tensor::Shape codes;         ///< bytes: [R, 64 b] for kInt8, [R, 32 b] for kNf4
  tensor::Shape scales;        ///< f32: [R, b]; [0, 0] when doubly quantised
  tensor::Shape scale_codes;   ///< bytes: [R, b]; [0, 0] unless doubly quantised
  tensor::Shape scale_ranges;  ///< f32: [ceil(R b / kScaleGroup), 2], least and step; or [0, 2]

  /// Of all parts together.
  [[nodiscard]] std::int64_t bytes() const;
};

[[nodiscard]] QuantizedShapes quantized_shapes(QuantFormat format, ScaleFormat scales,
                                               std::int64_t rows, std::int64_t columns);

/// A quantised [R,C] matrix in memory that somebody else owns, of quantized_shapes().
/// In a kNf4 block, byte i holds weight i in its low and weight i + 32 in its high half.
struct QuantizedMatrix {
  QuantFormat format = QuantFormat::kInt8;
  ScaleFormat scale_format = ScaleFormat::kF32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  tensor::View<std::uint8_t> codes;
  tensor::View<float> scales;
  tensor::View<std::uint8_t> scale_codes;
  tensor::View<float> scale_ranges;
};

/// Overwrites all parts of `to` with the nearest codes to weight[R,C]; a doubly quantised matrix is
/// rounded to the scales that are kept. |error| of a weight is at most scale / 254 for kInt8 and
/// 0.152 scale for kNf4; kDouble adds at most a 510th of the range of its 256 scales.
/// Throws Error(kData) when a weight is not finite.
void quantize(tensor::View<const float> weight, const QuantizedMatrix& to);

/// out[count,C] = rows [first, first + count) (overwrites).
void dequantize_rows(const QuantizedMatrix& from, std::int64_t first, tensor::View<float> out);
/// On a GPU alone; rounded to nearest. quantize() is the CPU's.
void dequantize_rows(const QuantizedMatrix& from, std::int64_t first,
                     tensor::View<tensor::bf16> out);

}  // namespace nativo::ops
