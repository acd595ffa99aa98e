#include "train/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

void check_options(const TrainOptions& options, const model::DecoderConfig& config) {
  if (options.seq_len < 1 || options.micro_batch < 1 || options.epochs < 1) {
    throw Error(ExitCode::kConfig, "train: seq_len, micro_batch and epochs are at least 1");
  }
  if (options.batch_tokens < options.seq_len) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.batch_tokens = {} is less than one row of train.seq_len = {}",
                            options.batch_tokens, options.seq_len),
                "raise batch_tokens or lower seq_len");
  }
  static_cast<void>(training_shape(options));  // throws for an unknown train.recompute
  if (options.seq_len > config.max_positions) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.seq_len = {} is beyond the model's {} positions",
                            options.seq_len, config.max_positions),
                "lower seq_len");
  }
}

}  // namespace

TrainPlan::TrainPlan(std::span<const Example> examples, const TrainOptions& options,
                     const model::DecoderConfig& config)
    : seed_(static_cast<std::uint64_t>(options.seed)) {
  check_options(options, config);
  packing_ = pack(examples, options.seq_len, config.vocab_size, seed_);
  const auto rows = static_cast<std::int64_t>(packing_.rows.size());
  if (rows == 0) {
    throw Error(ExitCode::kData, "there is nothing to train on: no example has a trained token",
                "look at the filters' rejects and at train.train_on");
  }
  rows_per_step_ = options.batch_tokens / options.seq_len;
  if (options.max_steps > 0) {
    steps_ = options.max_steps;
    total_rows_ = steps_ * rows_per_step_;
  } else {
    total_rows_ = options.epochs * rows;
    steps_ = (total_rows_ + rows_per_step_ - 1) / rows_per_step_;
  }
}

std::int64_t TrainPlan::end(std::int64_t step) const {
  return std::min(step * rows_per_step_, total_rows_);
}

std::vector<const Row*> TrainPlan::rows(std::int64_t step, std::int64_t row_offset) {
  NATIVO_CHECK(step >= 1 && step <= steps_, "steps count from 1 to the total");
  const auto count = static_cast<std::int64_t>(packing_.rows.size());
  std::vector<const Row*> rows;
  for (std::int64_t i = begin(step) + row_offset; i < end(step) + row_offset; ++i) {
    if (i / count != ordered_epoch_) {
      ordered_epoch_ = i / count;
      order_ = row_order(packing_.rows.size(), seed_, static_cast<std::uint64_t>(ordered_epoch_));
    }
    rows.push_back(&packing_.rows[order_[static_cast<std::size_t>(i % count)]]);
  }
  return rows;
}

std::int64_t TrainPlan::epoch(std::int64_t step, std::int64_t row_offset) const {
  return (begin(step) + row_offset) / static_cast<std::int64_t>(packing_.rows.size());
}

std::int64_t TrainPlan::offset_behind(std::int64_t spiked, std::int64_t row_offset,
                                      std::int64_t step) const {
  return end(spiked) + row_offset - begin(step);
}

std::string batch_digest(std::span<const Example> examples, std::span<const Row* const> rows) {
  std::string text;
  for (const Row* row : rows) {
    for (const Piece& piece : row->pieces) {
      text += fmt::format("{}:{}:{}\n", examples[piece.example].id, piece.begin, piece.length);
    }
    text += '\n';
  }
  return fmt::format("{:016x}", xxh64(text));
}

}  // namespace nativo::train
