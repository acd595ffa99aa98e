#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

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

TEST(Schedule, AllStepsMayWarmUp) {
  const Schedule schedule{ScheduleKind::kCosine, 2.0, 0.0, 3, 3};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 2.0);
}

}  // namespace
}  // namespace nativo::train
