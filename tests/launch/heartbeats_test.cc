// What a process writes of itself is what a supervisor reads; anything else is no heartbeat.
#include "launch/heartbeats.h"

#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/clock.h"
#include "base/heartbeat.h"
#include "base/interrupt.h"
#include "io/file.h"
#include "io/temp_folder.h"

namespace nativo::launch {
namespace {

/// A process that beats into `folder` as rank 0 while `work` runs.
pid_t start_rank(const std::filesystem::path& folder, const std::function<void()>& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::setenv("NATIVO_HEARTBEATS", folder.c_str(), 1);
  ::setenv("NATIVO_RESTART", "7", 1);
  ::setenv("SLURM_PROCID", "0", 1);
  install_signal_handlers();
  heartbeat::start_from_environment();
  work();
  ::_exit(0);
}

std::optional<Heartbeat> wait_for(const std::filesystem::path& folder,
                                  const std::function<bool(const Heartbeat&)>& good) {
  for (int i = 0; i < 200; ++i) {
    for (const Heartbeat& beat : read_heartbeats(folder)) {
      if (good(beat)) return beat;
    }
    ::usleep(20000);
  }
  return std::nullopt;
}

TEST(Heartbeat, SaysWhatTheProcessDoes) {
  const io::TempFolder folder;
  const pid_t pid = start_rank(folder.path(), [] {
    heartbeat::progress(heartbeat::Phase::kTrain, 12, 40);
    heartbeat::progress(heartbeat::Phase::kEvaluate, 13, 40);
    ::sleep(60);
  });
  const auto beat = wait_for(folder.path(), [](const Heartbeat& b) { return b.first >= 0; });
  ASSERT_TRUE(beat);
  EXPECT_EQ(beat->rank, 0);
  EXPECT_EQ(beat->restart, 7);
  EXPECT_EQ(beat->pid, pid);
  EXPECT_EQ(beat->first, 12);
  EXPECT_EQ(beat->steps, 40);
  EXPECT_NEAR(beat->time, unix_seconds(), 60.0);
  const auto later =
      wait_for(folder.path(), [&](const Heartbeat& b) { return b.beat > beat->beat; });
  ASSERT_TRUE(later);
  EXPECT_EQ(later->phase, "evaluate");
  EXPECT_EQ(later->step, 13);
  ::kill(pid, SIGSTOP);
  ::usleep(100000);
  const std::uint64_t frozen = read_heartbeats(folder.path()).at(0).beat;
  ::usleep(1500000);
  EXPECT_EQ(read_heartbeats(folder.path()).at(0).beat, frozen);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST(Heartbeat, AFileAsksTheProcessToStop) {
  const io::TempFolder folder;
  const pid_t pid = start_rank(folder.path(), [] {
    while (!interrupted()) ::usleep(10000);
    heartbeat::note_exit(75, "stopped \"well\"");
    ::_exit(75);
  });
  ASSERT_TRUE(wait_for(folder.path(), [](const Heartbeat&) { return true; }));
  io::posix_disk().create(folder.path() / "stop");
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 75);
  const auto exits = read_exits(folder.path());
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_EQ(exits[0].rank, 0);
  EXPECT_EQ(exits[0].code, 75);
  EXPECT_EQ(exits[0].message, "stopped \"well\"");
}

TEST(Heartbeat, AnOvertakenRankEndsWhateverItWaitsFor) {
  const io::TempFolder folder;
  const pid_t pid = start_rank(folder.path(), [] { ::sleep(600); });
  ASSERT_TRUE(wait_for(folder.path(), [](const Heartbeat&) { return true; }));
  io::posix_disk().create(folder.path() / "overtaken");
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 73);
  ASSERT_EQ(read_exits(folder.path()).size(), 1U);
  EXPECT_EQ(read_exits(folder.path())[0].code, 73);
}

TEST(ReadHeartbeats, PassesOverWhatIsNone) {
  const io::TempFolder folder;
  const std::string good =
      R"({"rank":1,"restart":2,"node":"n1","pid":5,"beat":6,"time":1.5,"phase":"train","step":3,)"
      R"("steps":9,"first":0,"pieces":4})";
  const auto write = [&](const char* name, const std::string& text) {
    io::write_file_atomically(folder.path() / name, text);
  };
  write("rank-00001.json", good + "   \n");
  write("rank-00002.json", good);                             // another rank's
  write("rank-00003.json", good.substr(0, good.size() / 2));  // torn
  write("rank-x.json", good);
  write("rank-00004.json", "[1,2]");
  write("rank-00005.json", R"({"rank":"5"})");
  write("rank-00006.json", "");
  write("stop", "");
  const auto beats = read_heartbeats(folder.path());
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_EQ(beats[0].node, "n1");
  EXPECT_EQ(beats[0].pieces, 4U);
  EXPECT_TRUE(read_heartbeats(folder.path() / "none").empty());
  for (const char* text : {"", "{", "null", "7", "{\"rank\":1}", "\xff"}) {
    EXPECT_FALSE(parse_heartbeat(text)) << text;
  }
}

}  // namespace
}  // namespace nativo::launch
