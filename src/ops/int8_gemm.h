// Linear layers in 8-bit integers, for inference: activations are quantised a row at a time,
// weights once, sums are exact 32-bit integers. Not here: frozen weights in training
// (ops/quantized_gemm.h). Rule: a row's result depends on that row and the weight alone, bit for
// bit, whatever the threads, the rows beside it, and the instruction set (of those with fused
// multiply-add). Source: the scheme of CTranslate2 (opennmt.net/CTranslate2/quantization.html).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/view.h"

namespace nativo::ops {

/// What follows a linear layer within the same pass over its outputs.
enum class Epilogue { kNone, kRelu };

/// How a scaled value becomes an integer.
enum class Int8Rounding {
  kNearest,   ///< to nearest, ties to even
  kTruncate,  ///< towards zero, as old models were trained to expect
};

/// How Int8Weight lies in memory. kPlain: for kernels that any processor has; kVnni: for AVX-512's
/// 8-bit dot products.
enum class Int8Layout { kPlain, kVnni };

/// The layout that this processor computes fastest.
[[nodiscard]] Int8Layout best_int8_layout();

/// A weight [O,I] of 8-bit integers: weight = value / scale of its row.
class Int8Weight {
 public:
  Int8Weight() = default;
  /// Packs values[O,I] with scales[O] (finite, not zero). I at most 2^16, so that no sum overflows.
  Int8Weight(tensor::View<const std::int8_t> values, std::span<const float> scales,
             Int8Layout layout = best_int8_layout());

  [[nodiscard]] std::int64_t outputs() const { return outputs_; }
  [[nodiscard]] std::int64_t inputs() const { return inputs_; }
  [[nodiscard]] Int8Layout layout() const { return layout_; }
  /// Bytes that it holds.
  [[nodiscard]] std::int64_t bytes() const;

  /// The weight of these rows alone, in their order.
  [[nodiscard]] Int8Weight select(std::span<const std::int32_t> rows) const;

  // For the kernels: packed values; 1 / scale is never formed, see int8_linear.
  [[nodiscard]] const std::int8_t* packed() const { return packed_.data(); }
  [[nodiscard]] const float* scales() const { return scales_.data(); }
  [[nodiscard]] const std::int32_t* shifts() const { return shifts_.data(); }  ///< 128 sum(row)
  /// All scales are moderate_scale()s.
  [[nodiscard]] bool moderate() const { return moderate_; }

 private:
  Int8Layout layout_ = Int8Layout::kPlain;
  std::int64_t outputs_ = 0;
  std::int64_t inputs_ = 0;
  std::vector<std::int8_t> packed_;
  std::vector<float> scales_;
  std::vector<std::int32_t> shifts_;
  bool moderate_ = true;
};

/// True for scales with which a 32-bit sum stays far from the ends of what a float can hold.
[[nodiscard]] constexpr bool moderate_scale(float scale) {
  return scale > 0x1p-40F && scale < 0x1p40F;
}

/// Bytes of a row of quantised activations: inputs rounded up to 64.
[[nodiscard]] std::int64_t int8_row_bytes(std::int64_t inputs);

/// x[N,I] -> codes[N, int8_row_bytes(I)], scales[N] (both overwritten): scale = 127 / max|x| (1 for
/// a row of zeros), code = rounded(fma(x, scale, 128)) in [0, 255]; bytes behind I are 0.
void quantize_activations(tensor::View<const float> x, Int8Rounding rounding,
                          tensor::View<std::uint8_t> codes, tensor::View<float> scales);

/// weight[O,I] -> values[O,I], scales[O]: scale = 127 / max|row| (1 for a row of zeros), value =
/// rounded(weight * scale).
void quantize_weight(tensor::View<const float> weight, Int8Rounding rounding,
                     tensor::View<std::int8_t> values, std::span<float> scales);

/// y[N,W] = epilogue(sum / scales[n] / weight scale + bias) for the outputs [first, first + W) of
/// `weight` (overwrites); sum over I of (code - 128) value, an exact integer. `first` must be a
/// multiple of kInt8Block. `bias` has O elements or none.
void int8_linear(tensor::View<const std::uint8_t> codes, tensor::View<const float> scales,
                 const Int8Weight& weight, std::span<const float> bias, Epilogue epilogue,
                 std::int64_t first, tensor::View<float> y);

/// Outputs that a kernel computes together.
inline constexpr std::int64_t kInt8Block = 48;

}  // namespace nativo::ops
