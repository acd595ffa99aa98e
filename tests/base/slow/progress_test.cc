// What a log file gets: one plain line after ten seconds. Slow because it waits for them.
#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/log.h"

namespace nativo {
namespace {

TEST(ProgressSlow, WithoutATerminalALineEveryTenSeconds) {
  if (log::stderr_is_terminal()) GTEST_SKIP() << "stderr is a terminal";
  testing::internal::CaptureStderr();
  {
    Progress progress("train", 100, "steps");
    progress.already(40);
    progress.note("loss 2.31");
    progress.advance(5);
    std::this_thread::sleep_for(std::chrono::milliseconds(10100));
    progress.advance(5);
    progress.advance(5);  // too soon for another line
  }
  // 10 fresh steps in a little over 10 s: 1.0/s (0.9 on a busy machine), 50 left.
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      testing::MatchesRegex(
          "train       50%  50/100 steps  [01]\\.[0-9]/s  ETA [0-9]*m? ?[0-9.]+s  loss 2.31\n"));
}

}  // namespace
}  // namespace nativo
