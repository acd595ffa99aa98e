// What int8_gemm.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

#include "ops/int8_gemm.h"

namespace nativo::ops::cpu {

/// Outputs of a packed group and inputs that lie together in it (kVnni): [O/16][I/4][16][4].
inline constexpr std::int64_t kVnniOutputs = 16;
inline constexpr std::int64_t kVnniInputs = 4;

/// Rows and a range of outputs of an int8_linear; the range begins at a multiple of kInt8Block.
struct Int8Block {
  const std::uint8_t* codes;  ///< of the first row
  std::int64_t code_stride;
  const float* scales;
  std::int64_t rows;
  const Int8Weight* weight;
  std::int64_t first;    ///< output
  std::int64_t outputs;  ///< at most kInt8Block
  const float* bias;     ///< of output 0, or null
  bool relu;
  float* y;  ///< of the first row and the first output
  std::int64_t y_stride;
};

/// Whether this processor has AVX-512 VNNI.
[[nodiscard]] bool has_vnni();
void int8_block_vnni(const Int8Block& block);

/// The same from kPlain rows [O, int8_row_bytes(I)], on any processor.
void int8_block_plain(const Int8Block& block);

void quantize_activations(const float* x, std::int64_t rows, std::int64_t inputs,
                          Int8Rounding rounding, std::uint8_t* codes, float* scales);

}  // namespace nativo::ops::cpu
