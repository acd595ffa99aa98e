// The learning rate of every step. A pure function of the step: nothing to save, nothing to resume.
#pragma once

#include <cstdint>

#include "train/options.h"

namespace nativo::train {

enum class ScheduleKind { kCosine, kLinear, kConstant, kWsd };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 0.0;              ///< learning rate at the end of the warm-up
  double min_ratio = 0.0;         ///< learning rate of the last step, as a fraction of the peak
  std::int64_t warmup_steps = 0;  ///< steps 1..warmup_steps rise in a straight line to the peak
  std::int64_t total_steps = 0;
  std::int64_t decay_steps = 0;  ///< of kWsd: the last ones, at most total - warm-up

  /// The learning rate of `step`, 1 <= step <= total_steps. With W warm-up steps of S:
  ///   step <= W:  peak * step / W
  ///   else, with x = (step - W) / (S - W) in (0, 1]:
  ///     cosine:   peak * (min + (1 - min) * (1 + cos(pi x)) / 2)   (SGDR, arXiv:1608.03983, eq. 5)
  ///     linear:   peak * (min + (1 - min) * (1 - x))
  ///     constant: peak
  ///   wsd (warm-up, stable, decay), with D decay steps: peak up to step S - D; then, with
  ///   x = (step - (S - D)) / D in (0, 1]:
  ///               peak * (min + (1 - min) * (1 - sqrt(x)))   ("1-sqrt", arXiv:2405.18392, sec. 3)
  [[nodiscard]] double learning_rate(std::int64_t step) const;
};

/// The schedule of a run of `steps` steps. The warm-up has `warmup_steps` steps, or, when that is
/// -1, `warmup_ratio` of all, rounded up; the decay of "wsd" `decay_ratio` of all, rounded up, but
/// never begins before the warm-up has ended. Throws Error(kConfig) for an unknown schedule, and
/// when both warmup_steps and warmup_ratio are set.
[[nodiscard]] Schedule make_schedule(const TrainOptions& options, std::int64_t steps);

}  // namespace nativo::train
