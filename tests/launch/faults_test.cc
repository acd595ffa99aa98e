// Which rank is to blame, and whether another start is worth it.
#include "launch/faults.h"

#include <gtest/gtest.h>

namespace nativo::launch {
namespace {

TEST(BlameInLog, ReadsSrunAndMpirun) {
  struct Case {
    const char* log;
    std::int64_t rank;
    const char* node;
    const char* words;
  };
  for (const Case& each : {
           Case{"step 1\nsrun: error: n2: task 3: Killed\nsrun: error: n1: task 0: Terminated\n", 3,
                "n2", "rank 3 on n2: Killed"},
           Case{"srun: error: gpu-07: tasks 4-7: Exited with exit code 65\n", 4, "gpu-07",
                "rank 4 on gpu-07: Exited with exit code 65"},
           Case{"mpirun noticed that process rank 1 with PID 0 on node host exited on signal 9 "
                "(Killed).\n",
                1, "host", "rank 1 on host: ended by signal 9 (Killed)"},
       }) {
    const auto blame = blame_in_log(each.log);
    ASSERT_TRUE(blame) << each.log;
    EXPECT_EQ(blame->rank, each.rank);
    EXPECT_EQ(blame->node, each.node);
    EXPECT_EQ(blame->words, each.words);
  }
}

TEST(BlameInLog, FindsNothingInWhatRanksPrint) {
  for (const char* log :
       {"", "loss 2.3\n", "srun: error: Node failure\n", "srun: error: n2: task x: Killed\n",
        "srun: error: n2: task 3\n", "mpirun noticed that process rank\n",
        "says: srun: error: n2: task 3: Killed\n", "srun: error: \n",
        "srun: error: a b: task 1: x\n",
        "mpirun noticed that process rank 1 with PID 0 on node host\n"}) {
    const auto blame = blame_in_log(log);
    EXPECT_TRUE(!blame || blame->node == "a b") << log;
  }
}

TEST(BlameInLog, NamesTheNodeThatSlurmGaveUp) {
  const auto blame = blame_in_log("0: a step\nsrun: error: Node failure on n[2-3]\n");
  ASSERT_TRUE(blame);
  EXPECT_EQ(blame->rank, -1);
  EXPECT_EQ(blame->node, "n[2-3]");
  EXPECT_EQ(blame->words, "node n[2-3] failed");
}

TEST(Judge, TellsFaultsFromErrorsThatWouldComeAgain) {
  EXPECT_EQ(judge({.status = 0}), Outcome::kDone);
  EXPECT_EQ(judge({.status = 0, .cut_short = true}), Outcome::kFault);
  for (const int code : {64, 65, 66, 78}) {
    EXPECT_EQ(judge({.status = code}), Outcome::kHopeless) << code;
    // The others are killed when one fails, and the command's own status is theirs.
    EXPECT_EQ(judge({.status = 143, .exits = {{.rank = 2, .code = code, .message = "x"}}}),
              Outcome::kHopeless);
  }
  for (const int code : {1, 70, 73, 74, 75, 127, 134, 137, 139, 143}) {
    EXPECT_EQ(judge({.status = code}), Outcome::kFault) << code;
  }
  EXPECT_EQ(judge({.status = 75, .asked_to_stop = true}), Outcome::kStopped);
  EXPECT_EQ(judge({.status = 143,
                   .exits = {{.rank = 0, .code = 75, .message = "stopped"}},
                   .asked_to_stop = true}),
            Outcome::kStopped);
  EXPECT_EQ(judge({.status = 137, .asked_to_stop = true}), Outcome::kFault);
  EXPECT_EQ(judge({.status = 0, .finding = Finding()}), Outcome::kFault);
}

TEST(FindBlame, PrefersTheCauseToItsEcho) {
  // Rank 3 was killed; the others were told to stop and said so.
  const Ending killed{.status = 143,
                      .exits = {{.rank = 0, .code = 75, .message = "stopped"}},
                      .log_tail = "srun: error: n2: task 3: Killed\n"};
  EXPECT_EQ(find_blame(killed).rank, 3);
  EXPECT_EQ(find_blame(killed).node, "n2");
  const Ending said{.status = 143,
                    .exits = {{.rank = 0, .code = 75, .message = "stopped"},
                              {.rank = 5, .code = 74, .message = "/data: read: I/O error"}},
                    .log_tail = "srun: error: n1: task 0: Terminated\n"};
  EXPECT_EQ(find_blame(said).rank, 5);
  EXPECT_EQ(find_blame(said).code, 74);
  EXPECT_EQ(find_blame(said).words, "rank 5: /data: read: I/O error (exit code 74)");
  EXPECT_EQ(find_blame({.status = 137}).words, "the ranks ended with killed by signal 9");
}

TEST(Budget, CountsFaultsWithoutProgress) {
  Budget budget(2);
  EXPECT_TRUE(budget.spend(std::nullopt));
  EXPECT_EQ(budget.pause(), 0.0);
  EXPECT_TRUE(budget.spend(std::nullopt));
  EXPECT_EQ(budget.pause(), 2.0);
  EXPECT_TRUE(budget.spend(5));  // a checkpoint: from the beginning
  EXPECT_EQ(budget.pause(), 0.0);
  EXPECT_TRUE(budget.spend(5));
  EXPECT_FALSE(budget.spend(5));
  EXPECT_FALSE(budget.spend(4));
  EXPECT_TRUE(budget.spend(6));
  EXPECT_FALSE(Budget(0).spend(1));
  Budget patient(100);
  for (int i = 0; i < 50; ++i) (void)patient.spend(std::nullopt);
  EXPECT_EQ(patient.pause(), 60.0);
}

}  // namespace
}  // namespace nativo::launch
