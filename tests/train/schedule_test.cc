#include "train/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace nativo::train {
namespace {

TEST(Schedule, WarmsUpInAStraightLineToThePeak) {
  const Schedule schedule{ScheduleKind::kCosine, 1e-3, 0.1, 4, 12};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(1), 0.25e-3);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 0.75e-3);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(4), 1e-3);
}

TEST(Schedule, FallsToTheMinimumAtTheLastStep) {
  const Schedule cosine{ScheduleKind::kCosine, 1e-3, 0.1, 4, 12};
  EXPECT_DOUBLE_EQ(cosine.learning_rate(8), 0.55e-3);  // half way: the middle of 1 and 0.1
  EXPECT_DOUBLE_EQ(cosine.learning_rate(6), 1e-3 * (0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2));
  EXPECT_DOUBLE_EQ(cosine.learning_rate(12), 0.1e-3);
  const Schedule linear{ScheduleKind::kLinear, 1e-3, 0.2, 0, 10};
  EXPECT_DOUBLE_EQ(linear.learning_rate(1), 0.92e-3);
  EXPECT_DOUBLE_EQ(linear.learning_rate(5), 0.6e-3);
  EXPECT_DOUBLE_EQ(linear.learning_rate(10), 0.2e-3);
  const Schedule constant{ScheduleKind::kConstant, 1e-3, 0.2, 2, 10};
  EXPECT_DOUBLE_EQ(constant.learning_rate(1), 0.5e-3);
  EXPECT_DOUBLE_EQ(constant.learning_rate(10), 1e-3);
}

TEST(Schedule, WsdStaysAtThePeakAndFallsAtTheEnd) {
  // 4 steps up, 12 at the peak, 4 down: 1 - sqrt(1/4), 1 - sqrt(1/2), 1 - sqrt(3/4), 0 of the way.
  const Schedule wsd{ScheduleKind::kWsd, 1e-3, 0.1, 4, 20, 4};
  EXPECT_DOUBLE_EQ(wsd.learning_rate(2), 0.5e-3);
  for (const std::int64_t step : {4, 5, 10, 16}) EXPECT_DOUBLE_EQ(wsd.learning_rate(step), 1e-3);
  EXPECT_DOUBLE_EQ(wsd.learning_rate(17), 1e-3 * (0.1 + 0.9 * 0.5));
  EXPECT_DOUBLE_EQ(wsd.learning_rate(18), 1e-3 * (0.1 + 0.9 * (1.0 - std::sqrt(0.5))));
  EXPECT_DOUBLE_EQ(wsd.learning_rate(19), 1e-3 * (0.1 + 0.9 * (1.0 - std::sqrt(0.75))));
  EXPECT_DOUBLE_EQ(wsd.learning_rate(20), 1e-4);
  const Schedule never{ScheduleKind::kWsd, 1e-3, 0.1, 0, 20, 0};
  EXPECT_DOUBLE_EQ(never.learning_rate(20), 1e-3);
}

TEST(Schedule, IsMadeFromTheOptions) {
  TrainOptions options;
  options.lr = 2e-5;
  options.warmup_ratio = 0.101;
  Schedule schedule = make_schedule(options, 50);
  EXPECT_EQ(schedule.kind, ScheduleKind::kCosine);
  EXPECT_EQ(schedule.warmup_steps, 6) << "5.05 steps, rounded up";
  EXPECT_DOUBLE_EQ(schedule.learning_rate(50), 2e-6);

  options = {};
  options.schedule = "wsd";
  options.warmup_steps = 7;
  schedule = make_schedule(options, 50);
  EXPECT_EQ(schedule.warmup_steps, 7);
  EXPECT_EQ(schedule.decay_steps, 10);
  EXPECT_EQ(make_schedule(options, 5).warmup_steps, 5);
  EXPECT_EQ(make_schedule(options, 8).decay_steps, 1) << "what the warm-up leaves";
  options.warmup_steps = 0;
  EXPECT_EQ(make_schedule(options, 50).warmup_steps, 0);
}

TEST(Schedule, ContradictionsAreRefused) {
  TrainOptions options;
  options.warmup_steps = 10;
  options.warmup_ratio = 0.1;
  try {
    static_cast<void>(make_schedule(options, 50));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("train.warmup_steps = 10 and train.warmup_ratio"));
    EXPECT_EQ(error.hint(), "give one of them");
  }
}

TEST(Schedule, AllStepsMayWarmUp) {
  const Schedule schedule{ScheduleKind::kCosine, 2.0, 0.0, 3, 3};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 2.0);
}

}  // namespace
}  // namespace nativo::train
