#include "train/schedule.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nativo::train {

double Schedule::learning_rate(std::int64_t step) const {
  NATIVO_CHECK(step >= 1 && step <= total_steps, "steps count from 1 to the total");
  if (step <= warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  const double x =
      static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
  switch (kind) {
    case ScheduleKind::kCosine:
      return peak * (min_ratio + (1.0 - min_ratio) * 0.5 * (1.0 + std::cos(std::numbers::pi * x)));
    case ScheduleKind::kLinear:
      return peak * (min_ratio + (1.0 - min_ratio) * (1.0 - x));
    case ScheduleKind::kConstant:
      break;
  }
  return peak;
}

}  // namespace nativo::train
