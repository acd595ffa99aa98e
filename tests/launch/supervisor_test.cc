// The supervisor over shell scripts that play ranks, on this machine.
#include "launch/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "io/temp_folder.h"
#include "launch/fake_nodes.h"
#include "launch/files.h"
#include "launch/journal.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SupervisorTest : public testing::Test {
 protected:
  /// Runs `script` as the only rank; $run is the run folder, $NATIVO_RESTART the number of the
  /// start.
  int supervise_script(const std::string& script) {
    const fs::path file = folder_.path() / "rank.sh";
    io::write_file_atomically(file, "run=" + run_.native() + R"(
beat() {  # beat PHASE STEP FIRST
  n=$((${n:-0} + 1))
  echo "{\"rank\":0,\"restart\":$NATIVO_RESTART,\"node\":\"here\",\"pid\":$$,\"beat\":$n,\"time\":1,"\
"\"phase\":\"$1\",\"step\":$2,\"steps\":9,\"first\":$3,\"pieces\":$n}" >"$NATIVO_HEARTBEATS/rank-00000.json"
}
)" + script);
    const SupervisedRun supervised{.run = run_,
                                   .trainings = {run_ / "train"},
                                   .program = {"bash", file.native()},
                                   .self = {health_.native()},
                                   .config = {},
                                   .options = options_};
    return supervise(supervised, nodes_);
  }

  void SetUp() override {
    set_health(R"({"node":"here","checks":[]})");
    options_.silence_seconds = 2.0;
    fs::create_directories(run_ / "train");
  }
  void set_health(const std::string& json) { set_health_script("echo '" + json + "'"); }
  void set_health_script(const std::string& lines) {
    io::write_file_atomically(health_, "#!/bin/sh\n" + lines + "\n");
    fs::permissions(health_, fs::perms::owner_all);
  }
  [[nodiscard]] std::vector<Json> events() const {
    std::vector<Json> found = last_json_lines(run_ / "train" / "events.jsonl", 100);
    return found;
  }
  [[nodiscard]] std::string state() const {
    return Journal(run_, {run_ / "train"}).last_state().value("state", "");
  }

  io::TempFolder folder_;
  fs::path run_ = folder_.path() / "run";
  fs::path health_ = folder_.path() / "nativo";
  SlurmOptions options_;
  FakeNodes nodes_{{"here"}};
};

TEST_F(SupervisorTest, EndsWithRanksThatEndWell) {
  EXPECT_EQ(supervise_script("echo hello; echo $NATIVO_JOB $NATIVO_RUN_LOCK"), 0);
  EXPECT_EQ(state(), "done");
  EXPECT_EQ(io::read_file(ranks_log(run_, 1)),
            "hello\n17 " + fs::weakly_canonical(run_).native() + "\n");
  EXPECT_EQ(parse_json(io::read_file(run_ / "train" / "fence.json"), "fence"),
            Json({{"job", "17"}, {"restart", 1}}));
  EXPECT_TRUE(events().empty());
}

TEST_F(SupervisorTest, StartsRanksAgainAfterAFaultAndSaysWhatItCost) {
  EXPECT_EQ(supervise_script(R"(
if [ $NATIVO_RESTART = 1 ]; then
  for i in 1 2 3 4 5 6 7; do echo "{\"step\": $i, \"time\": $i}" >>$run/train/metrics.jsonl; done
  beat train 7 0; sleep 0.5; kill -9 $$
fi
beat train 5 5; sleep 1; beat end 9 5)"),
            0);
  const std::vector<Json> all = events();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["event"], "fault");
  EXPECT_EQ(all[0]["what"], "the ranks ended with killed by signal 9");
  EXPECT_EQ(all[0]["step"], 7);
  EXPECT_EQ(all[1]["event"], "recovery");
  EXPECT_EQ(all[1]["step"], 5);
  EXPECT_EQ(all[1]["steps_lost"], 2);
  EXPECT_EQ(all[1]["restart"], 2);
  EXPECT_LT(all[1]["seconds_down"].get<double>(), 10.0);
}

TEST_F(SupervisorTest, EndsAndNamesARankWithoutSignsOfLife) {
  EXPECT_EQ(supervise_script(R"(
beat train 1 0
[ $NATIVO_RESTART = 2 ] || sleep 600
beat end 9 0)"),
            0);
  ASSERT_FALSE(events().empty());
  EXPECT_THAT(events()[0]["what"].get<std::string>(),
              HasSubstr("rank 0 on here gave no sign of life"));
  EXPECT_EQ(events()[0]["node"], "here");
  EXPECT_GE(nodes_.kills, 1);
}

// srun tells at once which rank was killed, but then waits for the others, who wait for that one.
TEST_F(SupervisorTest, DoesNotWaitForTheOthersWhenSrunNamesARank) {
  EXPECT_EQ(supervise_script(R"(
if [ $NATIVO_RESTART = 1 ]; then
  beat train 3 0
  echo "srun: error: here: task 5: Killed"
  for i in $(seq 600); do beat train 3 0; sleep 0.2; done
fi
beat train 3 3; sleep 1; beat end 9 3)"),
            0);
  ASSERT_EQ(events().size(), 2U);
  EXPECT_EQ(events()[0]["what"], "rank 5 on here: Killed");
  EXPECT_EQ(events()[0]["rank"], 5);
  EXPECT_LT(events()[1]["seconds_down"].get<double>(), 10.0);
}

// srun ends with 0 when it has lost all nodes of its step: the ranks did not end by themselves.
TEST_F(SupervisorTest, IsNotDoneWhenTheRanksWereCutShort) {
  EXPECT_EQ(supervise_script(R"(
if [ $NATIVO_RESTART = 1 ]; then
  beat train 3 0
  echo "srun: error: Node failure on n7"
  exit 0
fi
beat train 3 3; sleep 1; beat end 9 3)"),
            0);
  ASSERT_EQ(events().size(), 2U);
  EXPECT_EQ(events()[0]["what"], "node n7 failed");
  EXPECT_EQ(events()[0]["node"], "n7");
  EXPECT_EQ(events()[1]["event"], "recovery");
  EXPECT_EQ(state(), "done");
}

// Two nodes are wanted and one is healthy; the other answers when the first checkpoint is there.
constexpr const char* kGrowing = R"(
echo $NODES >>$run/started
case $NODES in
  n1) beat train 1 0; sleep 0.5; mkdir -p $run/train/checkpoints/step-00000005
      for i in $(seq 100); do
        beat train 5 0; sleep 0.1
        [ -e $NATIVO_HEARTBEATS/stop ] && { beat save 6 0; exit 75; }
      done; beat end 9 0;;
  *) beat train 6 6; beat end 9 6;;
esac)";

TEST_F(SupervisorTest, GrowsBackWhenANodeOfItsOwnCanBeUsedAgain) {
  nodes_.all = {"n1", "n2"};
  options_.nodes = 2;
  options_.on_node_loss = "shrink";
  set_health_script("case $NODES in n2) [ -e " + run_.native() +
                    "/train/checkpoints ] || exit 1;; esac\n"
                    "echo '{\"node\":\"'$NODES'\",\"checks\":[]}'");
  EXPECT_EQ(supervise_script(kGrowing), 0);
  EXPECT_EQ(io::read_file(run_ / "started"), "n1\nn1,n2\n");
  const std::vector<Json> all = events();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["event"], "node_lost");
  EXPECT_EQ(all[1]["event"], "grow");
  EXPECT_EQ(all[1]["what"], "n2 can be used again");
  EXPECT_EQ(nodes_.requeues, 0);
  EXPECT_EQ(state(), "done");
}

TEST_F(SupervisorTest, GrowsByTheQueueOrGoesOnWithWhatItHas) {
  nodes_.all = {"n1"};
  nodes_.free = 1;
  options_.nodes = 3;
  options_.on_node_loss = "shrink";
  EXPECT_EQ(supervise_script(R"(
echo $NODES >>$run/started
[ $NATIVO_RESTART = 2 ] && { beat train 6 6; beat end 9 6; exit 0; }
)" + std::string(kGrowing)),
            0);
  EXPECT_EQ(nodes_.requeues, 1);
  EXPECT_EQ(nodes_.wanted, 2);
  ASSERT_EQ(events().size(), 2U);
  EXPECT_EQ(events()[0]["event"], "grow");
  EXPECT_EQ(events()[0]["what"], "1 more node can be had");
  EXPECT_EQ(events()[1]["event"], "requeue");
  EXPECT_TRUE(fs::exists(ranks_log(run_, 2)));
}

TEST_F(SupervisorTest, DoesNotGrowUnlessItMay) {
  nodes_.all = {"n1"};
  nodes_.free = 1;
  options_.nodes = 2;
  options_.on_node_loss = "shrink";
  const char* script = R"(
beat train 1 0; mkdir -p $run/train/checkpoints/step-00000005; sleep 1
[ -e $NATIVO_HEARTBEATS/stop ] && exit 75; [ $NATIVO_RESTART = $last ] || kill -9 $$; beat end 9 0)";
  options_.grow = "never";
  EXPECT_EQ(supervise_script("last=2" + std::string(script)), 0);
  EXPECT_EQ(nodes_.requeues, 0);
  fs::remove_all(run_ / "train/checkpoints");
  options_.grow = "recovery";  // after the fault, not before
  EXPECT_EQ(supervise_script("last=4" + std::string(script)), 0);
  EXPECT_EQ(nodes_.requeues, 1);
}

// What another start has taken over is its own: neither its state nor its events are touched.
TEST_F(SupervisorTest, SaysNothingMoreOnceItIsOvertaken) {
  const char* theirs = R"({"job":"17","state":"running","restart":2})";
  EXPECT_EQ(
      supervise_script(
          std::string(
              "sleep 1; echo '{\"job\":\"17\",\"restart\":2}' >$run/train/fence.json; echo '") +
          theirs + "' >$run/launch/supervisor.json; exit 75"),
      73);
  EXPECT_EQ(Journal(run_, {run_ / "train"}).last_state(), Json::parse(theirs));
  EXPECT_TRUE(events().empty());
}

TEST_F(SupervisorTest, DoesNotRepeatAnErrorThatWouldComeAgain) {
  EXPECT_EQ(
      supervise_script(
          R"(echo '{"exit":78,"message":"bad key"}' >$NATIVO_HEARTBEATS/rank-00000.exit; exit 78)"),
      78);
  EXPECT_EQ(state(), "failed");
  ASSERT_EQ(events().size(), 1U);
  EXPECT_THAT(events()[0]["what"].get<std::string>(), HasSubstr("bad key"));
  EXPECT_FALSE(fs::exists(ranks_log(run_, 2)));
}

TEST_F(SupervisorTest, GivesUpWhenItsBudgetIsSpent) {
  options_.retries = 1;
  EXPECT_EQ(supervise_script("exit 70"), 70);
  EXPECT_TRUE(fs::exists(ranks_log(run_, 2)));
  EXPECT_FALSE(fs::exists(ranks_log(run_, 3)));
  EXPECT_EQ(state(), "failed");
}

TEST_F(SupervisorTest, LeavesABadNodeOutAndNamesIt) {
  fs::remove_all(run_ / "train");  // as before the first start
  set_health(
      R"({"node":"here","checks":[{"name":"arithmetic","good":false,"shared":false,"found":"1 + 1 = 3","value":0}]})");
  options_.requeue = false;
  EXPECT_EQ(supervise_script("exit 0"), 75);
  ASSERT_FALSE(events().empty());
  EXPECT_EQ(events()[0]["event"], "node_excluded");
  EXPECT_EQ(events()[0]["node"], "here");
  EXPECT_THAT(events()[0]["what"].get<std::string>(), HasSubstr("1 + 1 = 3"));
  EXPECT_FALSE(fs::exists(ranks_log(run_, 1)));
}

TEST_F(SupervisorTest, RefusesAFullDiskBeforeTheStartAndWaitsForSpaceAfterAFault) {
  const char* full =
      R"({"node":"here","checks":[{"name":"disk","good":false,"shared":true,"found":"full","value":0}]})";
  set_health(full);
  EXPECT_THROW((void)supervise_script("exit 0"), Error);
  // The disk is full when the rank fails, and has space again when it is looked at the third time.
  const std::string looks = (folder_.path() / "looks").native();
  set_health_script("echo x >>" + looks + "\n[ $(wc -l <" + looks +
                    ") != 2 ] && echo '{\"node\":\"here\",\"checks\":[]}' || echo '" + full + "'");
  EXPECT_EQ(supervise_script("[ $NATIVO_RESTART = 2 ] || exit 75"), 0);
  EXPECT_EQ(split(io::read_file(folder_.path() / "looks"), '\n').size(), 4U);  // three lines
}

TEST_F(SupervisorTest, RestartNumbersOnlyGrowAndOldRanksAreToldToEnd) {
  io::write_file_atomically(run_ / "train" / "fence.json", R"({"job":"3","restart":40})");
  fs::create_directories(heartbeat_folder(run_, 40));
  EXPECT_EQ(supervise_script("echo $NATIVO_RESTART >$run/number"), 0);
  EXPECT_EQ(io::read_file(run_ / "number"), "41\n");
  EXPECT_TRUE(fs::exists(heartbeat_folder(run_, 40) / "overtaken"));
  io::write_file_atomically(run_ / "train" / "fence.json", R"({"job":"3"})");
  EXPECT_THROW((void)supervise_script("exit 0"), Error);
}

TEST_F(SupervisorTest, IsTheOnlyOneOfItsRunFolder) {
  const io::RunLock other(run_);
  EXPECT_THROW((void)supervise_script("exit 0"), Error);
  // This very start of the job, which Slurm has started twice: it goes on, we end without a word.
  const Json first = {{"job", "17"}, {"job_restarts", 0}, {"state", "running"}};
  Journal(run_, {run_ / "train"}).state(first);
  EXPECT_EQ(supervise_script("exit 0"), 73);
  EXPECT_EQ(Journal(run_, {run_ / "train"}).last_state(), first);
  EXPECT_TRUE(events().empty());
  // This job before Slurm started it again, on a node that was cut off: overtaken.
  nodes_.job_restarts = 1;
  EXPECT_EQ(supervise_script("exit 0"), 0);
}

TEST_F(SupervisorTest, TellsOfTheSupervisorThatDiedBeforeIt) {
  fs::create_directories(launch_folder(run_));
  Journal(run_, {run_ / "train"}).state({{"job", "16"}, {"state", "running"}, {"host", "n9"}});
  io::write_file_atomically(launch_folder(run_) / kSupervisorBeat, "job 16\n");
  EXPECT_EQ(supervise_script("beat train 0 0; sleep 1; beat end 9 0"), 0);
  const std::vector<Json> all = events();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["what"], "the supervisor on n9 was lost");
  EXPECT_EQ(all[1]["event"], "recovery");
}

}  // namespace
}  // namespace nativo::launch
