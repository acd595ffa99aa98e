// Which nodes are taken, with a script that plays `nativo doctor` on three nodes.
#include "launch/node_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/file.h"
#include "io/temp_folder.h"
#include "launch/fake_nodes.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class NodeChoiceTest : public testing::Test {
 protected:
  /// `rate` is a shell word that may use $NODES and $look, which counts a node's checks from 1.
  NodeChoice::Found look(const std::string& rate) {
    const fs::path doctor = folder_.path() / "nativo";
    io::write_file_atomically(doctor, "#!/bin/bash\necho >>" +
                                          (folder_.path() / "looks-").native() +
                                          "$NODES\nlook=$(wc -l <" +
                                          (folder_.path() / "looks-").native() + "$NODES)\n" + R"(
echo "{\"node\":\"$NODES\",\"checks\":[{\"name\":\"arithmetic\",\"good\":true,\"shared\":false,"\
"\"found\":\"right\",\"value\":)" + rate + R"(}]}")");
    fs::permissions(doctor, fs::perms::owner_all);
    run_.self = {doctor.native()};
    return choice_.look();
  }

  io::TempFolder folder_;
  SupervisedRun run_{.run = folder_.path() / "run",
                     .trainings = {folder_.path() / "run" / "train"},
                     .program = {},
                     .self = {},
                     .config = {},
                     .options = {}};
  FakeNodes nodes_{{"n1", "n2", "n3"}};
  Journal journal_{run_.run, run_.trainings};
  NodeChoice choice_{run_, nodes_, journal_};
};

TEST_F(NodeChoiceTest, TakesAllThatAreWell) {
  EXPECT_THAT(look("1e9").names, ElementsAre("n1", "n2", "n3"));
  EXPECT_TRUE(choice_.excluded().empty());
}

TEST_F(NodeChoiceTest, LeavesOutANodeThatIsSlowTwice) {
  EXPECT_THAT(look("$([ $NODES = n2 ] && echo 1e8 || echo 1e9)").names, ElementsAre("n1", "n3"));
  EXPECT_THAT(choice_.excluded(), ElementsAre("n2"));
}

TEST_F(NodeChoiceTest, TakesANodeThatWasSlowOnce) {
  EXPECT_THAT(look("$([ $NODES$look = n21 ] && echo 1e8 || echo 1e9)").names,
              ElementsAre("n1", "n2", "n3"));
  EXPECT_TRUE(choice_.excluded().empty());
}

TEST_F(NodeChoiceTest, ANodeThatDoesNotAnswerMayComeBack) {
  EXPECT_THAT(look("$(kill -9 $$; echo 1e9)").names, testing::IsEmpty());
  EXPECT_TRUE(choice_.excluded().empty());
  EXPECT_THAT(look("1e9").names, ElementsAre("n1", "n2", "n3"));
}

TEST(NodesToQueueFor, AreThoseThatWillBeThereWithinWhatIsAllowed) {
  SlurmOptions options;
  options.nodes = 4;
  options.spare_nodes = 1;
  options.min_nodes = 2;
  for (const std::size_t there : {0, 3, 4}) EXPECT_EQ(nodes_to_queue_for(options, there), 4);
  EXPECT_EQ(nodes_to_queue_for(options, 9), 5);
  options.on_node_loss = "shrink";
  EXPECT_EQ(nodes_to_queue_for(options, 0), 2);
  EXPECT_EQ(nodes_to_queue_for(options, 3), 3);
}

TEST_F(NodeChoiceTest, MayShrinkToTheFewestNodesThatAreAllowed) {
  SlurmOptions options;
  options.nodes = 4;
  EXPECT_EQ(least_nodes(options), 4);
  options.on_node_loss = "shrink";
  options.min_nodes = 2;
  EXPECT_EQ(least_nodes(options), 2);
}

}  // namespace
}  // namespace nativo::launch
