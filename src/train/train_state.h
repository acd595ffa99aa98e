// Where a training run stands: all of it that is neither a weight nor a moment.
// Rule: with weights and moments this decides everything that follows, to the last bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nativo::train {

/// A measuring of the held-out losses after a step.
struct Evaluation {
  std::int64_t step = 0;    ///< from 1
  std::int64_t number = 0;  ///< of the evaluation, from 1
  double loss = 0.0;        ///< on held-out text; finite
  std::optional<double> base_loss = {};

  bool operator==(const Evaluation&) const = default;
};

/// After `step` steps. The learning rate follows from the step, the rows from step and row_offset.
struct TrainState {
  std::int64_t step = 0;
  std::int64_t updates = 0;     ///< steps whose update was made: AdamW's t
  std::int64_t skipped = 0;     ///< steps left without an update, over the whole run
  std::int64_t rollbacks = 0;   ///< over the whole run
  std::int64_t row_offset = 0;  ///< rows that rollbacks have put behind the run for good
  std::int64_t tokens = 0;      ///< input tokens seen, padding not counted
  double seconds = 0.0;         ///< spent in training, over all starts
  double step_seconds = 0.0;    ///< of these, in steps: held-out losses and saving not counted
  double first_loss = 0.0;      ///< of the first update, mean a target
  double loss = 0.0;            ///< of the last update
  std::optional<double> first_eval_loss = {};  ///< before training
  std::optional<double> eval_loss = {};        ///< the latest
  /// The same on held-out text in the language that the base speaks.
  std::optional<double> first_base_eval_loss = {};
  std::optional<double> base_eval_loss = {};
  /// Stopped while the held-out losses of `step` were measured: they are measured again.
  bool evaluation_due = false;
  /// Evaluations after a step so far, and which of them had the lowest loss, of equal ones the
  /// first; counted while train.keep_best. A state that is saved has the checkpoint of `best`
  /// beside it, if that is not itself.
  std::int64_t evaluations = 0;
  std::optional<Evaluation> best = {};
  std::vector<double> recent_losses = {};  ///< of the last updates, oldest first; see spikes.h
};

/// state.json of a checkpoint (docs/formats/checkpoint.md), without its key.
[[nodiscard]] Json to_json(const TrainState& state);

/// Reads what to_json() wrote, and version 1, in which every step was an update. Throws
/// Error(kData) that begins with `where`; so for a best evaluation that cannot have been.
[[nodiscard]] TrainState train_state_from_json(const Json& json, std::string_view where);

}  // namespace nativo::train
