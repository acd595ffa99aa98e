// Checkpoints of several ranks that are copied only after the training has gone on: each rank's own
// numbers, at every ZeRO stage, with tensor-parallel ranks, adapters and copies in memory.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "train/ranks.h"
#include "train/slow_disk.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::kLastStage;
using micro::Nodes;

class SharedBackgroundTest : public micro::RanksTest {
 protected:
  /// Trains twice: waiting for each checkpoint, and going on while a slow disk delays its copying
  /// beyond the next updates. All checkpoints have the same bytes.
  void expect_same_bytes(const std::string& name, const Nodes& nodes, bool lora = false) {
    micro::SlowDisk slow;
    for (const bool background : {false, true}) {
      disk_ = background ? static_cast<io::Disk*>(&slow) : &io::quick_disk();
      const auto outcome = run(
          fmt::format("{}-{}", name, background ? "background" : "waiting"), nodes,
          [&](TrainInput& input) {
            input.options.background_checkpoints = background;
            input.options.checkpoint_every = 2;
            input.options.keep = 100;
            input.options.eval_every = 0;
            if (copies_) {
              input.dist.neighbour_every = 2;
              input.dist.neighbour_dir = root_;
            }
          },
          lora);
      EXPECT_FALSE(outcome.stopped);
    }
    for (const std::int64_t step : {2, 4, 6, 7}) {
      EXPECT_TRUE(bytes(name + "-waiting", step, lora) == bytes(name + "-background", step, lora))
          << name << " " << step;
    }
  }

  [[nodiscard]] std::string bytes(const std::string& name, std::int64_t step, bool lora) const {
    const fs::path folder = root_ / name / fmt::format("checkpoints/step-{:08}", step);
    return io::read_file(folder / (lora ? "adapter_model.safetensors" : "model.safetensors")) +
           io::read_file(folder / "optimizer.safetensors");
  }

  bool copies_ = false;
};

TEST_F(SharedBackgroundTest, EveryStageSavesTheStepItWasAskedFor) {
  for (std::int64_t stage = 0; stage <= kLastStage; ++stage) {
    dist_.zero = stage;
    expect_same_bytes(fmt::format("one-node-{}", stage), {0, 0, 0});
    expect_same_bytes(fmt::format("two-nodes-{}", stage), {0, 0, 1, 1});
  }
}

TEST_F(SharedBackgroundTest, TensorParallelRanks) {
  dist_.tensor = 2;
  config_.kv_heads = 2;
  for (const std::int64_t stage : {1, 3}) {
    dist_.zero = stage;
    expect_same_bytes(fmt::format("grid-{}", stage), {0, 0, 0, 0});
  }
}

TEST_F(SharedBackgroundTest, Adapters) {
  dist_.zero = 1;
  expect_same_bytes("lora", {0, 0, 0}, true);
}

TEST_F(SharedBackgroundTest, BesideCopiesInMemory) {
  copies_ = true;
  dist_.zero = 2;
  expect_same_bytes("copies", {0, 0, 1, 1});
}

}  // namespace
}  // namespace nativo::train
