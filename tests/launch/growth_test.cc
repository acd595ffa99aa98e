// What asking for more nodes costs, and that it waits for nobody when the run has to stop.
#include "launch/growth.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "io/temp_folder.h"
#include "launch/fake_nodes.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;

/// Only the first node answers.
class DeadNodes final : public FakeNodes {
 public:
  using FakeNodes::FakeNodes;
  [[nodiscard]] Words run_on(const std::vector<std::string>& nodes,
                             const Words& command) const override {
    return nodes.front() == here() ? command : Words{"sleep", "60"};
  }
  bool are_free(std::int64_t count, const std::vector<std::string>& excluded) override {
    ++queue_looks;
    return FakeNodes::are_free(count, excluded);
  }
  int queue_looks = 0;
};

TEST(Growth, AsksAllNodesAtOnceAndNotTheQueueWhenItHasToStop) {
  const io::TempFolder folder;
  SupervisedRun run{.run = folder.path(),
                    .trainings = {folder.path() / "train"},
                    .program = {},
                    .self = {},
                    .config = {},
                    .options = {}};
  run.options.nodes = 9;
  run.options.on_node_loss = "shrink";
  run.options.grow_seconds = 0.0;
  DeadNodes nodes({"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"});
  nodes.free = 1;
  const Journal journal(run.run, run.trainings);
  Growth growth(run, nodes, journal);
  growth.begin({"n1"});
  fs::create_directories(folder.path() / "train" / "checkpoints" / "step-00000005");

  EXPECT_FALSE(growth.look({}, [] { return true; }));
  EXPECT_EQ(nodes.queue_looks, 0);
  const double begun = monotonic_seconds();
  bool is_asked = false;
  const auto asked_meanwhile = [&] { return std::exchange(is_asked, true); };
  EXPECT_FALSE(growth.look({}, asked_meanwhile));
  EXPECT_EQ(nodes.queue_looks, 0);
  // One node's time, not that of eight, with some for a busy machine.
  EXPECT_LT(monotonic_seconds() - begun, 3.0 * 4.0);

  const auto more =
      growth.look({"n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"}, [] { return false; });
  ASSERT_TRUE(more);
  EXPECT_EQ(more->queue_for, 2U);
}

}  // namespace
}  // namespace nativo::launch
