// Copies of the state in the nodes' memory: what is lost with a rank or a node, and what is not.
#include "train/neighbour_memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "train/plan.h"
#include "train/ranks.h"
#include "train/slow_disk.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::Nodes;
using micro::Outcome;

constexpr std::int64_t kEvery = 2;

class NeighbourMemoryTest : public micro::RanksTest {
 protected:
  fs::path memory_of(int node) const { return root_ / fmt::format("memory-{}", node); }

  /// Files in all nodes' memory whose name contains `text`.
  std::vector<fs::path> files(const std::string& text) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      const std::string name = entry.path().filename().native();
      if (entry.is_regular_file() && name.find(text) != std::string::npos &&
          (name.ends_with(".own") || name.ends_with(".neighbour"))) {
        found.push_back(entry.path());
      }
    }
    return found;
  }

  void before_training(dist::Grid& grid, TrainInput& input) override {
    const dist::Place& place = grid.world().place();
    input.dist.neighbour_every = every_;
    input.dist.neighbour_dir = memory_of(place.node);
    fs::create_directories(memory_of(place.node));
    if (place.node == broken_node_) input.dist.neighbour_dir = "/dev/null";
    input.options.background_checkpoints = false;
    input.options.eval_every = 0;
    input.options.micro_batch = 8;  // one a step: asked once after each
    input.heldout.clear();
    // All processes end at once, when the copy is whole.
    input.should_stop = [this, place, rank = grid.world().rank(),
                         steps = std::int64_t{0}]() mutable {
      ++steps;
      if (after_step_) after_step_(rank, steps);
      if (lost_after_ == 0 || steps < lost_after_) return false;
      wait_for_copy(static_cast<std::size_t>(place.size) * (place.nodes > 1 ? 2U : 1U));
      throw Error(ExitCode::kInternal, "killed");
    };
  }

  /// Returns when `parts` of the copy of step copy_ are there.
  void wait_for_copy(std::size_t parts) const {
    const std::string name = fmt::format("step-{:08}", copy_);
    for (int i = 0; i < 3000 && files(name).size() < parts; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  /// Of a run's parts on a node.
  fs::path folder_of(const std::string& name, int node) const {
    return memory_of(node) /
           ("nativo-" + xxh128_hex(fs::absolute(root_ / name).lexically_normal().native()));
  }

  /// `after` so many steps, when the copy of step `copy` is whole.
  void lose(const std::string& name, const Nodes& nodes, std::int64_t after, std::int64_t copy,
            bool lora = false) {
    lost_after_ = after;
    copy_ = copy;
    const Outcome outcome = run(name, nodes, change_, lora);
    EXPECT_EQ(outcome.messages, std::vector<std::string>(nodes.size(), "killed"));
    lost_after_ = 0;
  }

  /// What is logged meanwhile.
  template <class Body>
  std::string said(const Body& body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }

  std::int64_t every_ = kEvery;
  std::int64_t lost_after_ = 0;
  std::int64_t copy_ = 0;
  std::function<void(int rank, std::int64_t steps)> after_step_;  ///< on every rank's thread
  int broken_node_ = -1;                                          ///< whose memory is none
  micro::Change change_;
};

TEST_F(NeighbourMemoryTest, AfterANodeIsLostTrainingGoesOnFromItsNeighbour) {
  struct Case {
    const char* name;
    Nodes nodes;
    std::int64_t zero, tensor;
    const char* state;
    bool lora;
  };
  for (const Case& is : {Case{"one", {0, 0, 1, 1}, 1, 1, "f32", false},
                         Case{"parts", {0, 0, 1, 1}, 3, 1, "int8", false},
                         Case{"columns", {0, 0, 1, 1}, 1, 2, "f32", false},
                         Case{"adapters", {0, 1, 2}, 2, 1, "bf16", true},
                         Case{"uneven", {0, 1, 1, 1}, 1, 1, "f32", false}}) {
    dist_.zero = is.zero;
    dist_.tensor = is.tensor;
    config_.kv_heads = is.tensor;
    change_ = [&](TrainInput& input) { input.options.optimizer_state = is.state; };
    const std::string undisturbed = fmt::format("{}-undisturbed", is.name);
    const Outcome wanted = run(undisturbed, is.nodes, change_, is.lora);
    EXPECT_TRUE(files("step").empty()) << "memory is given back";
    lose(is.name, is.nodes, 5, 4, is.lora);
    fs::remove_all(memory_of(1));
    const Outcome outcome = run(is.name, is.nodes, change_, is.lora);
    EXPECT_EQ(outcome.result.resumed_from, 4) << is.name << ": the checkpoint is of step 3";
    EXPECT_TRUE(outcome.weights == wanted.weights) << is.name;
    if (!is.lora) {
      EXPECT_TRUE(micro::checkpoint_bytes(root_ / is.name, 7) ==
                  micro::checkpoint_bytes(root_ / undisturbed, 7));
    }
    EXPECT_TRUE(files("step").empty());
  }
}

TEST_F(NeighbourMemoryTest, OnOneNodeItOutlivesProcesses) {
  const Outcome wanted = run("undisturbed", {0, 0});
  lose("lost", {0, 0}, 5, 4);
  const Outcome outcome = run("lost", {0, 0});
  EXPECT_EQ(outcome.result.resumed_from, 4);
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

TEST_F(NeighbourMemoryTest, OtherRanksThanThoseThatLeftItGoOn) {
  run("undisturbed", {0, 0, 1, 1});
  lose("lost", {0, 0, 1, 1}, 5, 4);
  fs::remove_all(memory_of(1));
  fs::copy(root_ / "lost", root_ / "saved", fs::copy_options::recursive);
  fs::copy(memory_of(0), root_ / "parts", fs::copy_options::recursive);
  for (const Nodes& nodes : {Nodes{0, 0, 0}, Nodes{0}}) {
    const Outcome outcome = run("lost", nodes);
    EXPECT_EQ(outcome.result.resumed_from, 4) << nodes.size();
    expect_close("lost", "undisturbed", micro::kOrder);
    EXPECT_FALSE(fs::exists(folder_of("lost", 0)));
    fs::remove_all(root_ / "lost");
    fs::remove_all(memory_of(0));
    fs::copy(root_ / "saved", root_ / "lost", fs::copy_options::recursive);
    fs::copy(root_ / "parts", memory_of(0), fs::copy_options::recursive);
  }
}

void damage(const fs::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-9, std::ios::end);
  file.put('?');
}

TEST_F(NeighbourMemoryTest, ADamagedPartIsTakenFromTheOtherNode) {
  const Outcome wanted = run("undisturbed", {0, 0, 1, 1});
  lose("lost", {0, 0, 1, 1}, 5, 4);
  damage(files("step-00000004.start-0.rank-2.own").at(0));
  fs::resize_file(files("step-00000004.start-0.rank-3.own").at(0), 5000);
  Outcome outcome;
  const std::string log = said([&] { outcome = run("lost", {0, 0, 1, 1}); });
  EXPECT_NE(log.find("rank-2.own: bytes"), std::string::npos) << log;
  EXPECT_NE(log.find("rank-3.own"), std::string::npos) << log;
  EXPECT_EQ(outcome.result.resumed_from, 4);
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

TEST_F(NeighbourMemoryTest, WhatIsDamagedOrMissingEverywhereIsNotUsed) {
  const Outcome wanted = run("undisturbed", {0, 0, 1, 1});
  for (const bool missing : {false, true}) {
    const std::string name = missing ? "missing" : "damaged";
    lose(name, {0, 0, 1, 1}, 5, 4);
    for (const fs::path& path : files("step-00000004.start-0.rank-2")) {
      missing ? static_cast<void>(fs::remove(path)) : damage(path);
    }
    Outcome outcome;
    const std::string log = said([&] { outcome = run(name, {0, 0, 1, 1}); });
    EXPECT_NE(
        log.find(missing ? "parts of 1 of 4 ranks are missing" : "a part is damaged in every copy"),
        std::string::npos)
        << log;
    EXPECT_EQ(outcome.result.resumed_from, 3);
    EXPECT_TRUE(outcome.weights == wanted.weights);
  }
}

TEST_F(NeighbourMemoryTest, ANewerCheckpointIsPreferred) {
  change_ = [](TrainInput& input) { input.options.checkpoint_every = 5; };
  const Outcome wanted = run("undisturbed", {0, 1}, change_);
  lose("lost", {0, 1}, 5, 4);
  Outcome outcome;
  const std::string log = said([&] { outcome = run("lost", {0, 1}, change_); });
  EXPECT_NE(log.find("step 4 in memory is not used: a checkpoint of step 5"), std::string::npos)
      << log;
  EXPECT_EQ(outcome.result.resumed_from, 5);
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

TEST_F(NeighbourMemoryTest, WhatAnOlderStartLeavesLaterIsNotUsed) {
  const Outcome wanted = run("undisturbed", {0, 1});
  every_ = 5;
  lose("lost", {0, 1}, 5, 5);
  const fs::path aside = root_ / "aside";
  fs::create_directories(aside);
  const std::vector<fs::path> left = files("step-00000005.start-0");
  ASSERT_EQ(left.size(), 4U);
  for (std::size_t i = 0; i < left.size(); ++i) fs::rename(left[i], aside / std::to_string(i));
  every_ = kEvery;
  std::ofstream(root_ / "lost" / "fence.json") << R"({"job": "7", "restart": 1})";
  lose("lost", {0, 1}, 1, 4);  // goes on from 3
  for (std::size_t i = 0; i < left.size(); ++i) fs::rename(aside / std::to_string(i), left[i]);
  Outcome outcome;
  const std::string log = said([&] { outcome = run("lost", {0, 1}); });
  EXPECT_NE(log.find("step 5 in memory is not used: start 0"), std::string::npos) << log;
  EXPECT_EQ(outcome.result.resumed_from, 4);
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

// The example that comes at step 6 has an infinite loss.
void spike_at_6(TrainInput& input) {
  input.options.batch_tokens = 3 * input.options.seq_len;  // one epoch
  input.options.on_spike = "rollback";
  input.options.no_decay = {"embed_tokens"};  // infinity less infinity is not a number
  input.decoder.parameters()[0].value[2047 * 16] = std::numeric_limits<float>::infinity();
  TrainPlan plan(input.train, input.options, input.decoder.config());
  input.train[plan.rows(6, 0).back()->pieces[0].example].tokens[1] = 2047;
}

TEST_F(NeighbourMemoryTest, AfterARollbackWhatWasTakenBeforeIsNotUsed) {
  change_ = spike_at_6;
  const Outcome wanted = run("undisturbed", {0, 1}, change_);
  ASSERT_EQ(wanted.result.rollbacks, 1);
  const std::string part = "step-00000004.start-0.rank-0.neighbour";
  for (const bool is_mixed : {false, true}) {
    const std::string name = is_mixed ? "mixed" : "whole";
    after_step_ = [&](int rank, std::int64_t steps) {
      if (steps != 5 || rank != 0) return;
      wait_for_copy(4);
      fs::copy_file(folder_of(name, 1) / part, root_ / "aside",
                    fs::copy_options::overwrite_existing);
    };
    // Steps 1 to 5, 4 and 5 once more.
    lose(name, {0, 1}, 7, 4);
    after_step_ = {};
    fs::remove_all(memory_of(0));
    if (is_mixed) {
      fs::rename(root_ / "aside", folder_of(name, 1) / part);
    }
    const Outcome outcome = run(name, {0, 1}, change_);
    EXPECT_EQ(outcome.result.resumed_from, is_mixed ? 3 : 4);
    EXPECT_TRUE(outcome.weights == wanted.weights);
  }
}

TEST_F(NeighbourMemoryTest, OfAnotherTrainingItIsNotUsed) {
  lose("lost", {0, 1}, 2, 2);
  Outcome outcome;
  const std::string log = said([&] {
    outcome = run("lost", {0, 1}, [](TrainInput& input) { input.key = "other"; });
  });
  EXPECT_NE(log.find("is of other data, another model or other options"), std::string::npos) << log;
  EXPECT_EQ(outcome.result.resumed_from, 0);
}

TEST_F(NeighbourMemoryTest, WithoutMemoryTrainingGoesOnWithoutCopies) {
  const Outcome wanted = run("wanted", {0, 1});
  broken_node_ = 1;
  Outcome outcome;
  const std::string log = said([&] { outcome = run("without", {0, 1}); });
  EXPECT_NE(log.find("no state is kept in memory"), std::string::npos) << log;
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

TEST_F(NeighbourMemoryTest, WhatFailsLaterGivesAllMemoryBackAtOnce) {
  const Outcome wanted = run("wanted", {0, 1});
  // A folder where a file belongs: the copy of step 6 gets no memory, that of step 4 no name.
  for (const char* in_the_way :
       {"step-00000006.start-0.rank-1.own.partial", "step-00000004.start-0.rank-0.neighbour"}) {
    bool is_checked = false;
    after_step_ = [&](int rank, std::int64_t steps) {
      if (rank == 1 && steps == 1) fs::create_directory(folder_of("failing", 1) / in_the_way);
      if (rank != 0 || steps != 6) return;
      EXPECT_TRUE(files("step").empty()) << in_the_way;
      is_checked = true;
    };
    Outcome outcome;
    const std::string log = said([&] { outcome = run("failing", {0, 1}); });
    EXPECT_NE(log.find("no state is kept in memory"), std::string::npos) << log;
    EXPECT_TRUE(is_checked);
    EXPECT_TRUE(outcome.weights == wanted.weights);
    fs::remove_all(root_ / "failing");
  }
}

TEST_F(NeighbourMemoryTest, AFolderOfSomebodyElseIsNotTouched) {
  const fs::path others = root_ / "others";
  const std::string part = "step-00000004.start-0.rank-0.own";
  fs::create_directories(others);
  fs::create_directories(folder_of("run", 1));
  fs::permissions(folder_of("run", 1), fs::perms::owner_all);
  for (const fs::path& folder : {others, folder_of("run", 1)}) std::ofstream(folder / part) << "?";
  fs::create_directories(memory_of(0));
  fs::create_symlink(others, folder_of("run", 0));
  const std::string log = said([&] { run("run", {0, 1}); });
  EXPECT_NE(log.find("is not a folder of this user alone"), std::string::npos) << log;
  EXPECT_TRUE(fs::exists(others / part));
  EXPECT_TRUE(fs::is_symlink(folder_of("run", 0)));
  EXPECT_FALSE(fs::exists(folder_of("run", 1))) << "this one is ours";
}

/// Full for the first rank that comes to `call`, once.
class FullOnce final : public micro::ForwardingDisk {
 public:
  enum Call { kWriteAt, kRename };
  explicit FullOnce(Call call) : call_(call) {}

  std::unique_ptr<io::WritableFile> write_at(const fs::path& path, std::uint64_t at) override {
    meet(kWriteAt);
    return ForwardingDisk::write_at(path, at);
  }
  void rename(const fs::path& from, const fs::path& to) override {
    meet(kRename);
    ForwardingDisk::rename(from, to);
  }

 private:
  void meet(Call call) {
    if (call == call_ && !was_met_.exchange(true)) {
      throw Error(ExitCode::kTryAgain, "the disk is full");
    }
  }

  Call call_;
  std::atomic<bool> was_met_ = false;
};

TEST_F(NeighbourMemoryTest, ARankThatFailsAtTheStartLeavesNoneWaiting) {
  const Outcome wanted = run("undisturbed", {0, 1});
  lose("lost", {0, 1}, 5, 4);
  struct Case {
    FullOnce::Call call;
    const char* key;
  };
  // While the state in memory is written, and while checkpoints are set aside.
  for (const Case& is : {Case{FullOnce::kWriteAt, "key-1"}, Case{FullOnce::kRename, "other"}}) {
    FullOnce full(is.call);
    disk_ = &full;
    std::vector<std::string> messages =
        run("lost", {0, 1}, [&](TrainInput& input) { input.key = is.key; }).messages;
    disk_ = &io::quick_disk();
    ASSERT_EQ(messages.size(), 2U);
    for (const std::string& message : messages) {
      EXPECT_NE(message.find("the disk is full"), std::string::npos) << message;
    }
    EXPECT_NE(messages[0], messages[1]) << "the other one says which rank it was";
  }
  const Outcome outcome = run("lost", {0, 1});
  EXPECT_EQ(outcome.result.resumed_from, 4);
  EXPECT_TRUE(outcome.weights == wanted.weights);
}

}  // namespace
}  // namespace nativo::train
