// Dead and hanging ranks, told by their signs of life on a clock of the test's own.
#include "launch/watchdog.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nativo::launch {
namespace {

using testing::HasSubstr;

constexpr WatchLimits kLimits{.silence = 10, .hang = 60, .factor = 10, .start = 600};

/// Ranks that beat every second and do a step every `step_seconds`.
class Ranks {
 public:
  Ranks(std::int64_t count, double step_seconds)
      : watchdog(kLimits, count, 0.0), beats(static_cast<std::size_t>(count)), step_(step_seconds) {
    for (std::size_t i = 0; i < beats.size(); ++i) {
      beats[i].rank = static_cast<std::int64_t>(i);
      beats[i].node = fmt::format("n{}", i);
      beats[i].phase = "train";
      beats[i].steps = 1000;
    }
  }
  /// A second passes; ranks in `frozen` do not beat, ranks in `stuck` do not get further.
  std::optional<Finding> second(const std::vector<std::size_t>& frozen = {},
                                const std::vector<std::size_t>& stuck = {}) {
    now += 1.0;
    for (std::size_t i = 0; i < beats.size(); ++i) {
      if (std::ranges::find(frozen, i) != frozen.end()) continue;
      ++beats[i].beat;
      if (std::ranges::find(stuck, i) != stuck.end()) continue;
      beats[i].step = static_cast<std::int64_t>(now / step_);
      ++beats[i].pieces;
    }
    return watchdog.look(beats, now);
  }

  Watchdog watchdog;
  std::vector<Heartbeat> beats;
  double now = 0.0;

 private:
  double step_;
};

TEST(Watchdog, IsContentWithRanksThatWork) {
  Ranks ranks(4, 2.0);
  for (int i = 0; i < 1000; ++i) ASSERT_FALSE(ranks.second());
  EXPECT_NEAR(ranks.watchdog.median_step(), 2.0, 0.01);
  EXPECT_EQ(ranks.watchdog.newest_step(), 500);
}

TEST(Watchdog, NamesTheSilentRankNotThoseThatWaitForIt) {
  Ranks ranks(4, 1.0);
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(ranks.second());
  std::optional<Finding> finding;
  int seconds = 0;
  while (!finding && seconds < 100) {
    finding = ranks.second({2}, {0, 1, 3});
    ++seconds;
  }
  ASSERT_TRUE(finding);
  EXPECT_EQ(seconds, 11);
  EXPECT_EQ(finding->kind, Finding::Kind::kSilent);
  EXPECT_EQ(finding->rank, 2);
  EXPECT_THAT(finding->words(), HasSubstr("rank 2 on n2 gave no sign of life for 11.0 s"));
}

TEST(Watchdog, WaitsLongerWhenAllAreSilentAtOnce) {
  Ranks ranks(4, 1.0);
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(ranks.second());
  int seconds = 0;
  while (!ranks.second({0, 1, 2, 3}, {}) && seconds < 1000) ++seconds;
  EXPECT_NEAR(seconds, 30, 1);  // three times the limit of 10 s
}

TEST(Watchdog, NamesTheHangingRankThatIsFurthestBehind) {
  Ranks ranks(4, 1.0);
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(ranks.second());
  ASSERT_FALSE(ranks.second({}, {3}));
  std::optional<Finding> finding;
  int seconds = 1;
  while (!finding && seconds < 1000) {
    finding = ranks.second({}, {0, 1, 2, 3});
    ++seconds;
  }
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->kind, Finding::Kind::kHangs);
  EXPECT_EQ(finding->rank, 3);
  EXPECT_EQ(seconds, 61);
  EXPECT_THAT(finding->words(), HasSubstr("hangs in phase \"train\""));
}

TEST(Watchdog, GivesRanksThatDoNotFindEachOtherNoMoreThanTheirTime) {
  WatchLimits limits = kLimits;
  limits.connect = 20.0;
  Watchdog watchdog(limits, 1, 0.0);
  Heartbeat beat;
  beat.node = "n1";
  beat.phase = "start";
  std::optional<Finding> finding;
  double now = 0.0;
  for (; !finding && now < 1000.0; now += 1.0) {
    ++beat.beat;
    finding = watchdog.look({beat}, now);
  }
  EXPECT_NEAR(now, 22.0, 1.0);
  ++beat.pieces;  // they have, and load
  Watchdog loading(limits, 1, 0.0);
  for (now = 0.0; now < 100.0; now += 1.0) {
    ++beat.beat;
    EXPECT_FALSE(loading.look({beat}, now));
  }
}

TEST(Watchdog, GivesLongStepsTheirTime) {
  Ranks ranks(2, 30.0);
  for (int i = 0; i < 300; ++i) ASSERT_FALSE(ranks.second());
  EXPECT_NEAR(ranks.watchdog.median_step(), 30.0, 1.0);
  int seconds = 0;
  while (!ranks.second({}, {0, 1}) && seconds < 1000) ++seconds;
  EXPECT_NEAR(seconds, 300, 15);  // ten median steps, not the least of 60 s
}

TEST(Watchdog, GivesLoadingAndSavingTheirTime) {
  Ranks ranks(1, 1.0);
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(ranks.second());
  ranks.beats[0].phase = "save";
  int seconds = 0;
  while (!ranks.second({}, {0}) && seconds < 1000) ++seconds;
  EXPECT_NEAR(seconds, 600, 2);
}

Heartbeat beat_of_rank_0() {
  Heartbeat beat;
  beat.node = "n1";
  beat.phase = "start";
  return beat;
}

TEST(Watchdog, MissesARankThatNeverCame) {
  Watchdog watchdog(kLimits, 2, 0.0);
  const std::vector<Heartbeat> one = {beat_of_rank_0()};
  ASSERT_FALSE(watchdog.look(one, 5.0));
  std::vector<Heartbeat> beats = one;
  std::optional<Finding> finding;
  for (double now = 6.0; !finding && now < 1000.0; now += 1.0) {
    ++beats[0].beat;
    ++beats[0].pieces;
    finding = watchdog.look(beats, now);
  }
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->kind, Finding::Kind::kNeverCame);
  EXPECT_EQ(finding->rank, 1);
}

}  // namespace
}  // namespace nativo::launch
