// A batch as the arithmetic wants it: which keys each token sees, and which rows have a target.
// Not for other folders. Rule: whatever a batch holds, nothing behind this point is out of range.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder.h"

namespace nativo::model {

struct PreparedBatch {
  std::int64_t rows = 0;                 ///< B
  std::int64_t length = 0;               ///< T
  std::vector<std::int32_t> first_key;   ///< [B*T], see ops/attention.h; the whole document
  std::vector<std::int32_t> window_key;  ///< the same inside the sliding window; empty without one
  std::vector<std::int32_t> target_row;  ///< [n] flat index of each token with a target
  std::vector<std::int32_t> target;      ///< [n]
  std::int64_t positions = 0;            ///< the greatest position plus one
};

/// What `layer` sees: first_key or window_key.
[[nodiscard]] inline std::span<const std::int32_t> visible(const DecoderConfig& config,
                                                           const PreparedBatch& batch,
                                                           std::int64_t layer) {
  return config.has_window(layer) ? batch.window_key : batch.first_key;
}

/// Throws Error(kData) when sizes differ or a token, target or position is out of range.
[[nodiscard]] PreparedBatch prepare_batch(const DecoderConfig& config, const Batch& batch);

}  // namespace nativo::model
