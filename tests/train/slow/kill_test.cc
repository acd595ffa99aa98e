// A child that trains is killed with SIGKILL at random moments, again and again; the run must end
// with the bits of one that was never killed, and leave nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "base/rng.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/trainer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using KillTest = micro::TrainTest;

constexpr std::int64_t kSteps = 40;

TrainResult run(const fs::path& dir) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, dir, io::posix_disk());
  input.options.max_steps = kSteps;
  input.options.checkpoint_every = 2;
  return train(input);
}

// True when the child ended by itself before `microseconds` had passed.
bool child_survives(const fs::path& dir, std::uint64_t microseconds) {
  const pid_t child = ::fork();
  if (child == 0) {
    // One thread, so that nothing of the parent's thread pool is missed after the fork.
    int code = 1;
    try {
      if (::freopen("/dev/null", "w", stderr) != nullptr) {
        run(dir);
        code = 0;
      }
    } catch (...) {
      code = 2;
    }
    ::_exit(code);
  }
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  return WIFEXITED(status);
}

TEST_F(KillTest, AtRandomMomentsLosesNothing) {
  const TrainResult whole = run(root_ / "whole");
  const std::string bytes = micro::checkpoint_bytes(root_ / "whole", kSteps);
  const auto metrics = micro::metrics(root_ / "whole");

  Rng rng(20);
  int kills = 0;
  for (int round = 0; round < 6; ++round) {
    const fs::path dir = root_ / ("killed-" + std::to_string(round));
    std::int64_t reached = 0;
    // Each start gets a little longer, so that the end comes whatever the machine's speed.
    for (std::uint64_t start = 0;; ++start) {
      if (child_survives(dir, 2000 + rng.below(60000) + start * 2000)) break;
      ++kills;
      // What was reached is never lost: the newest whole checkpoint only moves forward.
      if (!fs::exists(dir / "checkpoints")) continue;
      fs::remove_all(root_ / "look");
      fs::copy(dir, root_ / "look", fs::copy_options::recursive);
      model::Decoder decoder = micro::decoder();
      Optimizer optimizer(std::as_const(decoder).parameters(), {});
      CheckpointStore store(root_ / "look", "key-1", 2, io::posix_disk());
      ::testing::internal::CaptureStderr();
      const auto state = store.load(decoder, optimizer);
      EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "a torn checkpoint";
      const std::int64_t step = state ? state->step : 0;
      EXPECT_GE(step, reached);
      reached = step;
    }
    ASSERT_TRUE(micro::checkpoint_bytes(dir, kSteps) == bytes) << round;
    ASSERT_EQ(micro::metrics(dir), metrics) << round;
    // The one before the last, and what was the best by then.
    EXPECT_EQ(list_checkpoints(dir / "checkpoints"),
              (std::vector<std::int64_t>{kSteps - 4, kSteps - 2, kSteps}));
    for (const auto& entry : fs::recursive_directory_iterator(dir)) {
      const std::string name = entry.path().filename().string();
      EXPECT_EQ(name.find(".partial"), std::string::npos) << entry.path();
      EXPECT_EQ(name.find(".tmp-"), std::string::npos) << entry.path();
    }
  }
  EXPECT_GT(kills, 20);
  EXPECT_EQ(whole.steps, kSteps);
  RecordProperty("kills", kills);
}

}  // namespace
}  // namespace nativo::train
