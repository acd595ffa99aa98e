#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

ScheduleKind kind_of(const std::string& option) {
  if (option == "cosine") return ScheduleKind::kCosine;
  if (option == "linear") return ScheduleKind::kLinear;
  if (option == "constant") return ScheduleKind::kConstant;
  if (option == "wsd") return ScheduleKind::kWsd;
  throw Error(ExitCode::kConfig,
              fmt::format("train.schedule: \"{}\" is none of cosine, linear, constant, wsd",
                          printable(option)));
}

// `ratio` of `steps`, rounded up, at most `limit`.
std::int64_t share(double ratio, std::int64_t steps, std::int64_t limit) {
  const double exact = std::ceil(ratio * static_cast<double>(steps));
  return std::min(limit, static_cast<std::int64_t>(exact));
}

}  // namespace

double Schedule::learning_rate(std::int64_t step) const {
  NATIVO_CHECK(step >= 1 && step <= total_steps, "steps count from 1 to the total");
  if (step <= warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  const std::int64_t falling =
      kind == ScheduleKind::kWsd ? decay_steps : total_steps - warmup_steps;
  const std::int64_t before = total_steps - falling;
  if (step <= before) return peak;
  const double x = static_cast<double>(step - before) / static_cast<double>(falling);
  const auto between = [&](double share_of_peak) {
    return peak * (min_ratio + (1.0 - min_ratio) * share_of_peak);
  };
  switch (kind) {
    case ScheduleKind::kCosine:
      return between(0.5 * (1.0 + std::cos(std::numbers::pi * x)));
    case ScheduleKind::kLinear:
      return between(1.0 - x);
    case ScheduleKind::kWsd:
      return between(1.0 - std::sqrt(x));
    case ScheduleKind::kConstant:
      break;
  }
  return peak;
}

Schedule make_schedule(const TrainOptions& options, std::int64_t steps) {
  if (options.warmup_steps >= 0 && options.warmup_ratio != TrainOptions().warmup_ratio) {
    throw Error(
        ExitCode::kConfig,
        fmt::format("train.warmup_steps = {} and train.warmup_ratio = {} say the same thing "
                    "twice",
                    options.warmup_steps, options.warmup_ratio),
        "give one of them");
  }
  Schedule schedule;
  schedule.kind = kind_of(options.schedule);
  schedule.peak = options.lr;
  schedule.min_ratio = options.min_lr_ratio;
  schedule.total_steps = steps;
  schedule.warmup_steps = options.warmup_steps >= 0 ? std::min(options.warmup_steps, steps)
                                                    : share(options.warmup_ratio, steps, steps);
  if (schedule.kind == ScheduleKind::kWsd) {
    schedule.decay_steps = share(options.decay_ratio, steps, steps - schedule.warmup_steps);
  }
  return schedule;
}

}  // namespace nativo::train
