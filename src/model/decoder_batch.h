// A batch as the arithmetic wants it: which keys each token sees, and which rows have a target.
// Not for other folders. Rule: whatever a batch holds, nothing behind this point is out of range.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "tensor/arena.h"
#include "tensor/device_memory.h"

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

/// Throws Error(kData) when sizes differ or a token, target or position is out of range.
[[nodiscard]] PreparedBatch prepare_batch(const DecoderConfig& config, const Batch& batch);

/// What a pass says of each target, on the host.
struct TargetResults {
  std::span<const double> log_prob;
  std::span<const double> loss;
  std::span<const std::int32_t> argmax;
};

/// A batch's tables, and what a pass says of its targets, where the pass runs. On the CPU the
/// tables are the batch's own; a GPU has copies, sent through pinned memory, without waiting.
class BatchTables {
 public:
  /// Begins another batch, which outlives its use here, as `prepared` does.
  void place(const Batch& batch, const PreparedBatch& prepared, const tensor::Device& device);

  std::span<const std::int32_t> tokens;
  std::span<const std::int32_t> positions;
  std::span<const std::int32_t> first_key;
  std::span<const std::int32_t> window_key;
  std::span<const std::int32_t> target_row;
  std::span<const std::int32_t> target;
  // To be written by the pass, [n] each.
  std::span<double> log_prob;
  std::span<double> loss;
  std::span<std::int32_t> argmax;

  /// What `layer` sees: first_key or window_key.
  [[nodiscard]] std::span<const std::int32_t> visible(const DecoderConfig& config,
                                                      std::int64_t layer) const {
    return config.has_window(layer) ? window_key : first_key;
  }

  /// The results, after all that the pass has asked for; waits for a GPU's ops, not for what runs
  /// beside them. Until the next place().
  [[nodiscard]] TargetResults results();

 private:
  tensor::Device device_;
  tensor::Arena memory_;                  ///< tables, then results
  tensor::PinnedMemory staged_;           ///< the same bytes on the host, of a GPU
  std::unique_ptr<tensor::Event> moved_;  ///< what was last copied to or from it
  std::size_t results_at_ = 0;
  std::size_t results_bytes_ = 0;
};

}  // namespace nativo::model
