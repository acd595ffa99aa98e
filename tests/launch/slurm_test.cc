// What Slurm's commands answer.
#include "launch/slurm.h"

#include <gtest/gtest.h>

namespace nativo::launch {
namespace {

TEST(ScontrolValue, IsOfTheWholeKey) {
  const char* answer = "JobId=7 NumNodes=2 ReqNodeList=(null) NodeList=n[1-2] Command=\n";
  EXPECT_EQ(scontrol_value(answer, "NodeList"), "n[1-2]");
  EXPECT_EQ(scontrol_value(answer, "NumNodes"), "2");
  EXPECT_EQ(scontrol_value(answer, "ReqNodeList"), std::nullopt);
  EXPECT_EQ(scontrol_value(answer, "Command"), std::nullopt);
  EXPECT_EQ(scontrol_value(answer, "Nodes"), std::nullopt);
}

TEST(TestOnlyStart, IsTheTimeThatSbatchNames) {
  EXPECT_EQ(
      test_only_start("sbatch: Job 7 to start at 1700000000 using 4 processors on nodes n2 in "
                      "partition main\n"),
      1700000000.0);
  EXPECT_EQ(test_only_start("allocation failure: Requested node configuration is not available"),
            std::nullopt);
  EXPECT_EQ(test_only_start("Job 7 to start at 2026-11-23T21:55:23 using"), std::nullopt);
  EXPECT_EQ(test_only_start("Job 7 to start at 1700000000"), std::nullopt);
  EXPECT_EQ(test_only_start(""), std::nullopt);
}

}  // namespace
}  // namespace nativo::launch
