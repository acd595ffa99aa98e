// Which rows every step of a run trains on.
// Rule: decided by the examples and the options alone; nothing of it is saved.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/decoder_config.h"
#include "train/example.h"
#include "train/options.h"
#include "train/packer.h"

namespace nativo::train {

/// Rows are a stream, epoch after epoch, each in an order of its own. Steps take batch_tokens /
/// seq_len of them each; only the very last step may take fewer.
class TrainPlan {
 public:
  /// Packs `examples`. Throws Error(kConfig) for options that contradict each other or the model,
  /// Error(kData) when there is nothing to train on or an example does not fit the model.
  TrainPlan(std::span<const Example> examples, const TrainOptions& options,
            const model::DecoderConfig& config);

  [[nodiscard]] std::int64_t steps() const { return steps_; }
  [[nodiscard]] const Packing& packing() const { return packing_; }

  /// The rows of `step`, 1 <= step <= steps(), in a run that has put `row_offset` rows of the
  /// stream behind it without a step. They stay valid for the life of the plan.
  [[nodiscard]] std::vector<const Row*> rows(std::int64_t step, std::int64_t row_offset);

  /// The epoch, from 0, of the first row of `step`.
  [[nodiscard]] std::int64_t epoch(std::int64_t step, std::int64_t row_offset) const;

  /// The row_offset with which `step` begins behind the last row of `spiked` >= step, itself run
  /// with `row_offset`: a run that goes back to before `step` then meets none of them again.
  [[nodiscard]] std::int64_t offset_behind(std::int64_t spiked, std::int64_t row_offset,
                                           std::int64_t step) const;

 private:
  [[nodiscard]] std::int64_t begin(std::int64_t step) const { return (step - 1) * rows_per_step_; }
  [[nodiscard]] std::int64_t end(std::int64_t step) const;

  Packing packing_;
  std::uint64_t seed_ = 0;
  std::int64_t rows_per_step_ = 1;
  std::int64_t total_rows_ = 0;
  std::int64_t steps_ = 0;
  std::int64_t ordered_epoch_ = -1;  ///< whose order is in order_
  std::vector<std::size_t> order_;
};

/// 16 hex digits that name a batch: equal ids of examples in equal places give equal digits.
[[nodiscard]] std::string batch_digest(std::span<const Example> examples,
                                       std::span<const Row* const> rows);

}  // namespace nativo::train
