// What quantize.cc dispatches to on a CPU. Not for other folders.
#pragma once

#include <cstdint>

#include "ops/quantize.h"

namespace nativo::ops::cpu {

/// The greatest magnitude of each block of row[columns]; infinite or NaN when one of its weights
/// is.
void block_scales(const float* row, std::int64_t columns, float* scales);

/// Codes of one row, given the scale of each of its blocks; codes behind the last column are 0.
void encode_row(QuantFormat format, const float* row, std::int64_t columns, const float* scales,
                std::uint8_t* codes);

/// row[columns] from its codes and the scale of each block.
void decode_row(QuantFormat format, const std::uint8_t* codes, const float* scales,
                std::int64_t columns, float* row);

}  // namespace nativo::ops::cpu
