// The learning rate of every step. A pure function of the step: nothing to save, nothing to resume.
#pragma once

#include <cstdint>

namespace nativo::train {

enum class ScheduleKind { kCosine, kLinear, kConstant };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 0.0;              ///< learning rate at the end of the warm-up
  double min_ratio = 0.0;         ///< learning rate of the last step, as a fraction of the peak
  std::int64_t warmup_steps = 0;  ///< steps 1..warmup_steps rise in a straight line to the peak
  std::int64_t total_steps = 0;

  /// The learning rate of `step`, 1 <= step <= total_steps. With W warm-up steps of S:
  ///   step <= W:  peak * step / W
  ///   else, with x = (step - W) / (S - W) in (0, 1]:
  ///     cosine:   peak * (min + (1 - min) * (1 + cos(pi x)) / 2)   (SGDR, arXiv:1608.03983, eq. 5)
  ///     linear:   peak * (min + (1 - min) * (1 - x))
  ///     constant: peak
  [[nodiscard]] double learning_rate(std::int64_t step) const;
};

}  // namespace nativo::train
