// ZeRO stage 3 on several nodes: every node has parts of the layers, and the numbers are those of
// whole ones.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/hf_directory.h"
#include "model/memory_plan.h"
#include "model/shards.h"
#include "train/checkpoint_files.h"
#include "train/ranks.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::Nodes;
using micro::Outcome;

class LayerShardsTest : public micro::RanksTest {
 protected:
  LayerShardsTest() {
    config_.layers = 5;                // more than there are places for
    config_.intermediate_size = 2048;  // borders inside tensors
    config_.heads = 4;
    config_.kv_heads = 2;
  }

  Outcome train_at(std::int64_t zero, const Nodes& nodes, const micro::Change& change = {},
                   bool lora = false) {
    dist_.zero = zero;
    return run(fmt::format("zero-{}", zero), nodes, change, lora);
  }

  // Stages 2 and 3 end with the same bits everywhere.
  void expect_same(const Nodes& nodes, const micro::Change& change = {}, bool lora = false) {
    const Outcome whole = train_at(2, nodes, change, lora);
    const Outcome parts = train_at(3, nodes, change, lora);
    EXPECT_FALSE(whole.weights.empty());
    EXPECT_TRUE(parts.weights == whole.weights);
    EXPECT_EQ(micro::metrics(root_ / "zero-3"), micro::metrics(root_ / "zero-2"));
    for (const std::int64_t step : {6, 7}) {
      if (lora) break;  // the adapters are the weights
      EXPECT_TRUE(micro::checkpoint_bytes(root_ / "zero-3", step) ==
                  micro::checkpoint_bytes(root_ / "zero-2", step));
    }
    fs::remove_all(root_ / "zero-2");
    fs::remove_all(root_ / "zero-3");
  }

  void after_training(dist::Grid& grid, model::Decoder& decoder) override {
    const bool on_several = grid.data().place().nodes > 1;
    EXPECT_EQ(decoder.gathers_layers(), dist_.zero == 3 && on_several);
    if (model_.empty()) return;
    const model::SaveOptions options{.type = model::StorageType::kF32, .max_shard_bytes = 40'000};
    if (grid.world().is_root()) {
      model::save_decoder(root_ / model_, decoder, options, io::quick_disk());
    } else if (grid.data().rank() == 0 || decoder.gathers_layers()) {
      model::help_write_decoder(decoder, options);
    }
    grid.world().barrier();
  }

  std::string model_;  // where the model is saved at the end; empty = nowhere
};

TEST_F(LayerShardsTest, PartsTrainAsTheWhole) {
  for (const Nodes& nodes :
       {Nodes{0, 1}, Nodes{0, 0, 1, 1}, Nodes{0, 1, 2}, Nodes{0, 1, 0, 1, 2}}) {
    expect_same(nodes);
  }
}

TEST_F(LayerShardsTest, WithRanksThatHaveNothingToCompute) {
  for (const std::int64_t rows : {1, 2, 7}) {
    expect_same({0, 1, 1}, [rows](TrainInput& input) {
      input.options.batch_tokens = rows * input.options.seq_len;
      input.options.micro_batch = 1;
      input.heldout.resize(1);
    });
  }
}

TEST_F(LayerShardsTest, WithTensorParallelRanks) {
  dist_.tensor = 2;
  for (const Nodes& nodes : {Nodes{0, 0, 1, 1}, Nodes{0, 0, 1, 1, 2, 2}, Nodes{0, 0, 0, 0, 1, 1}}) {
    expect_same(nodes);
  }
}

TEST_F(LayerShardsTest, WithAdapters) {
  expect_same({0, 0, 1}, {}, /*lora=*/true);
  dist_.tensor = 2;
  expect_same({0, 0, 1, 1}, {}, /*lora=*/true);
}

TEST_F(LayerShardsTest, WhateverIsComputedAgainAndHoweverFewLayers) {
  for (const std::int64_t layers : {1, 2, 3}) {
    config_.layers = layers;
    config_.tie_embeddings = layers == 2;
    expect_same({0, 1}, [](TrainInput& input) {
      input.options.recompute = "block";
      input.options.optimizer_state = "int8";
    });
  }
}

TEST_F(LayerShardsTest, CheckpointsAreGoneOnFromWithAndWithout) {
  const Nodes nodes{0, 0, 1, 1};
  dist_.zero = 2;
  const Outcome through = run("through", nodes);
  for (const std::int64_t first : {2, 3}) {
    const std::string name = fmt::format("from-{}", first);
    auto entered = std::make_shared<std::atomic<int>>(0);
    dist_.zero = first;
    const Outcome stopped = run(name, nodes, [entered](TrainInput& input) {
      auto asked = std::make_shared<int>(0);
      const bool is_mine = (*entered)++ == 1;
      input.should_stop = [=] { return is_mine && ++*asked > 4; };
    });
    ASSERT_TRUE(stopped.stopped);
    dist_.zero = 5 - first;
    const Outcome resumed = run(name, nodes);
    EXPECT_GT(resumed.result.resumed_from, 0);
    EXPECT_TRUE(resumed.weights == through.weights) << first;
  }
}

TEST_F(LayerShardsTest, TheSavedModelIsWholeAndLoadedInParts) {
  for (const bool lora : {false, true}) {
    model_ = "whole";
    train_at(2, {0, 1, 1}, {}, lora);
    model_ = "parts";
    train_at(3, {0, 1, 1}, {}, lora);
    fs::remove_all(root_ / "zero-2");
    fs::remove_all(root_ / "zero-3");
    const model::Decoder whole = model::load_decoder(root_ / "whole");
    const model::Decoder saved = model::load_decoder(root_ / "parts");
    dist::threads::run_ranks({0, 1, 1}, [&](dist::Communicator& ranks) {
      dist::Grid grid(&ranks, 1);
      const model::Decoder loaded =
          model::load_decoder(root_ / "parts", {}, decoder_ranks(grid, 3));
      for (std::size_t p = 0; p < whole.parameters().size(); ++p) {
        const auto& expected = whole.parameters()[p].value;
        std::vector<float> values(expected.size());
        loaded.read_whole(p, values);
        EXPECT_TRUE(std::ranges::equal(values, expected)) << whole.parameters()[p].name;
        EXPECT_TRUE(std::ranges::equal(saved.parameters()[p].value, expected));
      }
    });
    fs::remove_all(root_ / "whole");
    fs::remove_all(root_ / "parts");
  }
}

/// A number that says which element of which parameter it is.
float expected_value(const model::Parameter& parameter, std::size_t element) {
  return static_cast<float>(parameter.name.size() * 1000) + static_cast<float>(element % 4099);
}

TEST_F(LayerShardsTest, ARankReadsNoMoreThanItKeeps) {
  for (const std::int64_t tensor : {1, 2}) {
    const Nodes nodes{0, 0, 1, 1, 2, 2};
    std::vector<std::map<std::string, std::size_t>> read(nodes.size());  // numbers, by rank
    dist::threads::run_ranks(nodes, [&](dist::Communicator& ranks) {
      dist::Grid grid(&ranks, tensor);
      model::Decoder decoder(config_, {}, decoder_ranks(grid, 3));
      auto& mine = read[static_cast<std::size_t>(ranks.rank())];
      decoder.load([&](const model::Parameter& piece, std::span<float> values) {
        mine[piece.name] += values.size();
        model::for_runs(piece.part, 0, values.size(),
                        [&](std::size_t here, std::size_t there, std::size_t length) {
                          for (std::size_t i = 0; i < length; ++i) {
                            values[here + i] = expected_value(piece, there + i);
                          }
                        });
      });
      for (std::size_t p = 0; p < decoder.parameters().size(); ++p) {
        const model::Parameter& parameter = decoder.parameters()[p];
        std::vector<float> values(parameter.value.size());
        decoder.read_merged(p, values);
        std::vector<float> expected(values.size());
        model::for_runs(parameter.part, 0, values.size(),
                        [&](std::size_t here, std::size_t there, std::size_t length) {
                          for (std::size_t i = 0; i < length; ++i) {
                            expected[here + i] = expected_value(parameter, there + i);
                          }
                        });
        EXPECT_TRUE(values == expected) << parameter.name;
      }
      const model::Shards shards(std::as_const(decoder).parameters(), grid.data().size());
      for (const model::Slice& slice : shards.slices(grid.data().rank())) {
        const model::Parameter& parameter = decoder.parameters()[slice.parameter];
        if (parameter.layer < 0 || parameter.layer == config_.layers) continue;
        EXPECT_EQ(mine[parameter.name], slice.count) << parameter.name;
      }
    });
    std::map<std::string, std::size_t> sums;
    for (const auto& of_rank : read) {
      for (const auto& [name, count] : of_rank) sums[name] += count;
    }
    const model::Decoder whole(config_);
    for (const model::Parameter& parameter : whole.parameters()) {
      const bool is_layers = parameter.layer >= 0 && parameter.layer < config_.layers;
      // Tensor-parallel ranks have parts of the projections, and the rest each. What is no layer's
      // is whole on all three nodes.
      const bool is_projection = parameter.name.find("_proj.weight") != std::string::npos;
      const std::size_t times = (is_layers ? 1U : 3U) * (is_projection || tensor == 1 ? 1U : 2U);
      EXPECT_EQ(sums[parameter.name], parameter.elements() * times) << parameter.name;
    }
  }
}

TEST_F(LayerShardsTest, ARankKeepsItsPartAlone) {
  dist::threads::run_ranks({0, 0, 1, 1}, [&](dist::Communicator& ranks) {
    dist::Grid grid(&ranks, 1);
    model::Decoder decoder(config_, {}, decoder_ranks(grid, 3));
    decoder.initialize(5);
    const auto parameters = std::as_const(decoder).parameters();
    std::vector<dist::Part> own(parameters.size());
    const model::Shards shards(parameters, ranks.size());
    for (const model::Slice& slice : shards.slices(ranks.rank())) {
      own[slice.parameter] = {slice.begin, slice.count};
    }
    std::size_t kept = 0;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const model::Parameter& parameter = parameters[p];
      if (parameter.layer < 0 || parameter.layer == config_.layers) continue;
      std::vector<float> rest(parameter.value.begin(), parameter.value.end());
      std::fill_n(rest.begin() + static_cast<std::ptrdiff_t>(own[p].begin), own[p].count, 0.0F);
      EXPECT_EQ(std::ranges::count(rest, 0.0F), std::ssize(rest)) << parameter.name;
      kept += own[p].count * sizeof(float);
    }
    const std::size_t planned = model::cut_weight_bytes(config_, ranks.size(), 1);
    const std::size_t piece = 16384 * sizeof(float);
    const auto layers = static_cast<std::size_t>(config_.layers);
    EXPECT_LE(decoder.memory().parameters, planned + layers * piece);
    EXPECT_GE(decoder.memory().parameters + layers * piece, planned);
    EXPECT_GT(kept, 0U);
  });
}

}  // namespace
}  // namespace nativo::train
