// Tensor parallelism: a model in parts on neighbouring ranks (threads), alone and in a grid with
// data parallel ranks, is the model that one rank trains.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "model/hf_directory.h"
#include "model/peft_adapter.h"
#include "train/checkpoint_files.h"
#include "train/ranks.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::kOrder;
using micro::Nodes;
using micro::Outcome;
using ::testing::HasSubstr;

model::DecoderConfig cut_config() {
  model::DecoderConfig config = micro::wide_config();
  config.heads = 8;
  config.kv_heads = 4;
  config.intermediate_size = 64;
  return config;
}

class TensorParallelTest : public micro::RanksTest {
 protected:
  TensorParallelTest() { config_ = cut_config(); }

  Outcome run_grid(const std::string& name, const Nodes& nodes, std::int64_t tensor,
                   std::int64_t zero, const micro::Change& change = {}, bool lora = false) {
    dist_ = {.zero = zero, .tensor = tensor};
    return run(name, nodes, change, lora);
  }

  // The model as it is saved at the end.
  void after_training(dist::Grid& grid, model::Decoder& decoder) override {
    if (!saves_) return;
    const model::SaveOptions options{.type = model::StorageType::kF32, .max_shard_bytes = 40'000};
    if (grid.world().is_root()) {
      if (decoder.lora() != nullptr) model::save_adapter(root_ / "adapter", decoder, "base");
      model::save_decoder(root_ / "model", decoder, options, io::quick_disk());
    } else if (grid.data().rank() == 0) {
      if (decoder.lora() != nullptr) model::help_write_adapter(decoder);
      model::help_write_decoder(decoder, options);
    }
    grid.world().barrier();
  }

  bool saves_ = false;
};

const Nodes kEight(8, 0);

TEST_F(TensorParallelTest, PartsTrainAsTheWhole) {
  for (const model::Family family : {model::Family::kMistral, model::Family::kQwen2,
                                     model::Family::kQwen3, model::Family::kLlama}) {
    const auto name = [&](const char* what) {
      return fmt::format("{}-{}", model::family_name(family), what);
    };
    config_ = cut_config();
    config_.family = family;
    if (family == model::Family::kLlama || family == model::Family::kQwen3) {
      config_.sliding_window.reset();
      config_.attention_bias = true;
    }
    config_.mlp_bias = family == model::Family::kLlama;
    config_.tie_embeddings = family == model::Family::kQwen2;
    run_grid(name("one"), {0}, 1, 1);
    run_grid(name("two"), {0, 0}, 2, 1);
    expect_close(name("two"), name("one"), kOrder);
    run_grid(name("four"), {0, 0, 0, 0}, 4, 1);
    expect_close(name("four"), name("one"), kOrder);
  }
}

TEST_F(TensorParallelTest, EveryStageInAGrid) {
  const auto whole_micro_batches = [](TrainInput& input) { input.options.micro_batch = 4; };
  run_grid("one", {0}, 1, 1, whole_micro_batches);
  std::map<int, std::vector<float>> first;
  for (std::int64_t stage = 0; stage <= micro::kLastStage; ++stage) {
    const std::string name = fmt::format("grid-{}", stage);
    const Outcome outcome = run_grid(name, kEight, 2, stage, whole_micro_batches);
    expect_close(name, "one", kOrder);
    ASSERT_EQ(outcome.weights.size(), 2U);
    if (first.empty()) first = outcome.weights;
    EXPECT_TRUE(outcome.weights == first) << stage;
  }
  run_grid("nodes", {0, 0, 1, 1}, 2, 3, whole_micro_batches);
  expect_close("nodes", "one", kOrder);
}

TEST_F(TensorParallelTest, RecomputedIsKept) {
  const auto by = [](const char* rung) {
    return [rung](TrainInput& input) { input.options.recompute = rung; };
  };
  const Outcome kept = run_grid("kept", {0, 0}, 2, 1, by("nothing"));
  const Outcome again = run_grid("again", {0, 0}, 2, 1, by("block"));
  EXPECT_TRUE(kept.weights == again.weights);
}

TEST_F(TensorParallelTest, AdaptersAndQuantisedBases) {
  config_.hidden_size = 64;
  config_.head_dim = 16;
  config_.intermediate_size = 128;
  for (const bool quantised : {false, true}) {
    if (quantised) quantization_.format = ops::QuantFormat::kNf4;
    const auto name = [&](const char* what) {
      return fmt::format("{}-{}", quantised ? "nf4" : "f32", what);
    };
    run_grid(name("one"), {0}, 1, 1, {}, true);
    run_grid(name("grid"), {0, 0, 0, 0}, 2, 3, {}, true);
    expect_close(name("grid"), name("one"), kOrder);
  }
}

TEST_F(TensorParallelTest, CheckpointsKnowNoGrid) {
  for (const char* state : {"f32", "bf16"}) {
    const auto until = [&](std::int64_t steps) {
      return [=](TrainInput& input) {
        input.options.max_steps = steps;
        input.options.schedule = "constant";
        input.options.optimizer_state = state;
        input.options.keep = 9;
      };
    };
    const auto name = [&](const std::string& what) { return fmt::format("{}-{}", what, state); };
    run_grid(name("grid"), kEight, 2, 1, until(3));
    const fs::path saved = root_ / name("grid");
    verify_checkpoint(saved / "checkpoints" / "step-00000003");
    const std::string bytes = micro::checkpoint_bytes(saved, 3);
    struct Way {
      Nodes nodes;
      std::int64_t tensor;
      std::int64_t zero;
    };
    std::string one;
    for (const Way& way : {Way{{0}, 1, 1}, Way{{0, 0}, 1, 2}, Way{Nodes(6, 0), 1, 3},
                           Way{kEight, 2, 3}, Way{{0, 0, 1, 1}, 4, 1}}) {
      const std::string on = name(fmt::format("on-{}-{}", way.nodes.size(), way.tensor));
      fs::copy(saved, root_ / on, fs::copy_options::recursive);
      const Outcome outcome = run_grid(on, way.nodes, way.tensor, way.zero, until(7));
      EXPECT_EQ(outcome.result.resumed_from, 3) << on;
      EXPECT_TRUE(micro::checkpoint_bytes(root_ / on, 3) == bytes);
      if (one.empty()) one = on;
      // Columns draw other numbers for the rounding to bf16.
      expect_close(on, one, state == std::string("f32") ? kOrder : 1e-3);
    }
  }
}

// One writes what another would: at the same step the same numbers are in the same places.
TEST_F(TensorParallelTest, WhatAGridWritesIsTheWholeModel) {
  const auto begin = [](TrainInput& input) {
    input.options.on_spike = "rollback";  // saves before the first step
    input.options.max_steps = 1;
    input.options.keep = 9;
  };
  run_grid("one", {0}, 1, 1, begin);
  run_grid("grid", kEight, 2, 1, begin);
  EXPECT_TRUE(micro::checkpoint_bytes(root_ / "one", 0) ==
              micro::checkpoint_bytes(root_ / "grid", 0));
}

TEST_F(TensorParallelTest, TheSavedModelIsWhole) {
  saves_ = true;
  const auto begin = [](TrainInput& input) { input.options.max_steps = 1; };
  for (const bool lora : {false, true}) {
    const std::string name = lora ? "lora" : "full";
    run_grid(name + "-one", {0}, 1, 1, begin, lora);
    const model::Decoder one = model::load_decoder(root_ / "model");
    run_grid(name + "-grid", {0, 0, 0, 0}, 2, 1, begin, lora);
    const model::Decoder grid = model::load_decoder(root_ / "model");
    for (std::size_t p = 0; p < one.parameters().size(); ++p) {
      const auto& expected = one.parameters()[p].value;
      const auto& actual = grid.parameters()[p].value;
      ASSERT_EQ(actual.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(actual[i], expected[i], 1e-6) << one.parameters()[p].name << " " << i;
      }
    }
    if (!lora) continue;
    model::Decoder adapted(config_);
    adapted.initialize(5);
    model::load_adapter(adapted, root_ / "adapter");
    std::vector<float> merged(grid.parameters()[2].value.size());
    adapted.read_merged(2, merged);
    for (std::size_t i = 0; i < merged.size(); ++i) {
      ASSERT_NEAR(merged[i], grid.parameters()[2].value[i], 1e-6);
    }
  }
}

TEST_F(TensorParallelTest, AllStopWhenOneIsAsked) {
  const Outcome through = run_grid("through", {0, 0, 0, 0}, 2, 1);
  auto entered = std::make_shared<std::atomic<int>>(0);
  const Outcome stopped = run_grid("stopped", {0, 0, 0, 0}, 2, 1, [entered](TrainInput& input) {
    const bool is_mine = (*entered)++ == 1;
    auto asked = std::make_shared<int>(0);
    input.should_stop = [=] { return is_mine && ++*asked > 4; };
  });
  EXPECT_EQ(stopped.messages.size(), 4U);
  const Outcome resumed = run_grid("stopped", {0, 0, 0, 0}, 2, 1);
  EXPECT_TRUE(resumed.weights == through.weights);
}

TEST_F(TensorParallelTest, WhatCannotBeCutIsSaid) {
  const auto message_of = [&](const Nodes& nodes, std::int64_t tensor,
                              const micro::Change& change = {}) -> std::string {
    try {
      const Outcome outcome = run_grid("refused", nodes, tensor, 1, change);
      return outcome.messages.empty() ? "" : outcome.messages.front();
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message_of({0, 0, 0}, 2), HasSubstr("3 ranks cannot be split into groups of 2"));
  EXPECT_THAT(message_of(kEight, 8), HasSubstr("the model's 4 key/value heads"));
  EXPECT_THAT(
      message_of({0, 0}, 2, [](TrainInput& input) { input.options.optimizer_state = "int8"; }),
      HasSubstr("inside a block of"));
}

}  // namespace
}  // namespace nativo::train
