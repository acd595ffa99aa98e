// Training on several ranks, each a thread, on one node and on several.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "model/hf_directory.h"
#include "train/checkpoint.h"
#include "train/checkpoint_files.h"
#include "train/micro.h"
#include "train/optimizer.h"
#include "train/ranks.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using micro::Change;
using micro::kLastStage;
using micro::kOrder;
using micro::Nodes;
using micro::Outcome;
using micro::wide_config;
using DataParallelTest = micro::RanksTest;

Change zero(std::int64_t stage, const std::string& state = "f32") {
  return [stage, state](TrainInput& input) {
    input.dist.zero = stage;
    input.options.optimizer_state = state;
  };
}

TEST_F(DataParallelTest, AnyNumberOfRanksTrainsAsOne) {
  run("one", {0});
  for (const Nodes& nodes : {Nodes{0, 0},
                             {0, 0, 0},
                             {0, 0, 0, 0},
                             {0, 0, 1, 1},
                             {0, 1, 0},
                             {0, 0, 0, 0, 0, 0, 0, 0},
                             {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}) {
    const std::string name = fmt::format("{}-{}", nodes.size(), nodes.back());
    run(name, nodes);
    expect_close(name, "one", kOrder);
    EXPECT_EQ(micro::metrics(root_ / name).size(), 8U) << "the first rank alone writes";
  }
}

TEST_F(DataParallelTest, ShardingAndRepeatingChangeNoBit) {
  for (const char* state : {"f32", "bf16", "int8"}) {
    const Outcome whole = run(fmt::format("{}-0", state), {0, 0, 0}, zero(0, state));
    const Outcome sharded = run(fmt::format("{}-1", state), {0, 0, 0}, zero(1, state));
    const Outcome again = run(fmt::format("{}-again", state), {0, 0, 0}, zero(1, state));
    EXPECT_TRUE(whole.weights == sharded.weights) << state;
    EXPECT_TRUE(again.weights == sharded.weights) << state;
    EXPECT_EQ(micro::metrics(root_ / fmt::format("{}-0", state)),
              micro::metrics(root_ / fmt::format("{}-1", state)));
    const fs::path a = root_ / fmt::format("{}-0", state);
    const fs::path b = root_ / fmt::format("{}-1", state);
    EXPECT_TRUE(micro::checkpoint_bytes(a, 7) == micro::checkpoint_bytes(b, 7)) << state;
  }
}

// One micro-batch a step on every rank: then all stages add the same numbers in the same order.
TEST_F(DataParallelTest, AllStagesEndWithTheSameBits) {
  for (const Nodes& nodes : {Nodes{0, 0, 0, 0}, Nodes{0, 0, 1, 1, 1}, Nodes{0, 1}}) {
    for (const char* state : {"f32", "int8"}) {
      const auto of_stage = [&](std::int64_t stage) {
        dist_.zero = stage;
        return run(fmt::format("{}-{}-{}", nodes.size(), state, stage), nodes,
                   [&](TrainInput& input) {
                     input.options.optimizer_state = state;
                     input.options.micro_batch = 4;
                   });
      };
      const Outcome whole = of_stage(0);
      for (std::int64_t stage = 1; stage <= kLastStage; ++stage) {
        EXPECT_TRUE(of_stage(stage).weights == whole.weights) << state << stage;
        for (const std::int64_t step : {6, 7}) {
          const auto folder = [&](std::int64_t of) {
            return root_ / fmt::format("{}-{}-{}", nodes.size(), state, of);
          };
          EXPECT_TRUE(micro::checkpoint_bytes(folder(0), step) ==
                      micro::checkpoint_bytes(folder(stage), step));
          EXPECT_EQ(micro::metrics(folder(0)), micro::metrics(folder(stage)));
        }
      }
    }
  }
}

TEST_F(DataParallelTest, ATiedHeadsGradientIsTheEmbeddings) {
  config_.tie_embeddings = true;
  const auto whole_batch = [](TrainInput& input) { input.options.micro_batch = 4; };
  dist_.zero = 0;
  const Outcome whole = run("whole", {0, 0, 1}, whole_batch);
  for (std::int64_t stage = 2; stage <= kLastStage; ++stage) {
    dist_.zero = stage;
    const std::string name = fmt::format("stage-{}", stage);
    EXPECT_TRUE(run(name, {0, 0, 1}, whole_batch).weights == whole.weights) << stage;
  }
}

// Gradients that pass are summed a micro-batch at a time, in another order; ranks with fewer
// micro-batches than others, or none, take part in the sums.
TEST_F(DataParallelTest, GradientsThatPassAccumulateOverMicroBatches) {
  for (const std::int64_t rows : {2, 5, 11}) {
    const auto uneven = [rows](TrainInput& input) {
      input.options.batch_tokens = rows * input.options.seq_len;
    };
    const std::string one = fmt::format("one-{}", rows);
    run(one, {0}, uneven);
    for (std::int64_t stage = 2; stage <= kLastStage; ++stage) {
      for (const Nodes& nodes : {Nodes{0, 0, 0}, Nodes{0, 0, 1, 1}}) {
        const std::string name = fmt::format("{}-{}-{}", rows, stage, nodes.size());
        dist_.zero = stage;
        run(name, nodes, uneven);
        expect_close(name, one, kOrder);
      }
    }
  }
}

TEST_F(DataParallelTest, AdaptersTooAndOneMicroBatchOrMany) {
  run("one", {0}, {}, true);
  const Outcome whole = run("whole", {0, 0, 0}, zero(0), true);
  for (std::int64_t stage = kLastStage; stage > 0; --stage) {
    dist_.zero = stage;
    const Outcome sharded = run("sharded", {0, 0, 0}, {}, true);
    EXPECT_TRUE(whole.weights == sharded.weights) << stage;
    if (stage > 1) fs::remove_all(root_ / "sharded");
  }
  expect_close("sharded", "one", kOrder);
  const auto micro_batch = [](TrainInput& input) { input.options.micro_batch = 8; };
  run("one-batch", {0}, micro_batch);
  run("two-batches", {0, 0}, micro_batch);
  expect_close("two-batches", "one-batch", kOrder);
}

TEST_F(DataParallelTest, RanksWithoutARowWaitForTheOthers) {
  const auto small = [](TrainInput& input) {
    input.options.batch_tokens = 2 * input.options.seq_len;
  };
  run("one", {0}, small);
  run("three", {0, 0, 0}, small);
  expect_close("three", "one", kOrder);
}

TEST_F(DataParallelTest, SourcesAreThoseOfAllRows) {
  const auto named = [](TrainInput& input) {
    for (std::size_t i = 0; i < input.train.size(); ++i) {
      input.train[i].source = i % 3 == 0 ? "rare" : "common";
    }
  };
  run("one", {0}, named);
  run("four", {0, 0, 0, 0}, named);
  const auto one = micro::metrics(root_ / "one");
  const auto four = micro::metrics(root_ / "four");
  for (std::size_t i = 1; i < one.size(); ++i) {
    const Json a = parse_json(one[i], "one")["sources"];
    const Json b = parse_json(four[i], "four")["sources"];
    ASSERT_EQ(a.size(), b.size());
    ASSERT_FALSE(a.empty());
    for (const auto& [name, source] : a.items()) {
      EXPECT_NEAR(b[name]["loss"].get<double>(), source["loss"].get<double>(), 1e-5) << name;
      EXPECT_EQ(b[name]["targets"], source["targets"]);
    }
  }
}

// Asked to stop on one rank, after so many questions there.
Change stop_after(int questions, int rank, std::int64_t stage = 1) {
  auto asked = std::make_shared<std::atomic<int>>(0);
  auto entered = std::make_shared<std::atomic<int>>(0);
  return [=](TrainInput& input) {
    input.dist.zero = stage;
    const bool is_mine = (*entered)++ == rank;  // whichever thread this is
    input.should_stop = [=] { return is_mine && ++*asked > questions; };
  };
}

TEST_F(DataParallelTest, StoppedAndGoneOnIsNeverStopped) {
  const Outcome through = run("through", {0, 0, 0, 0});
  for (const int questions : {0, 3, 4, 5}) {
    const std::string name = fmt::format("stopped-{}", questions);
    const Outcome stopped = run(name, {0, 0, 0, 0}, stop_after(questions, 2));
    ASSERT_TRUE(stopped.stopped);
    ASSERT_EQ(stopped.messages.size(), 4U) << "all stop";
    EXPECT_EQ(std::ranges::count(stopped.messages, ""), 3) << "one says so";
    const Outcome resumed = run(name, {0, 0, 0, 0});
    EXPECT_TRUE(resumed.weights == through.weights) << questions;
    EXPECT_EQ(micro::metrics(root_ / name), micro::metrics(root_ / "through"));
  }
}

TEST_F(DataParallelTest, ParametersInCommonAreResumedAndTakenBack) {
  dist_.zero = 3;
  const Outcome through = run("through", {0, 0, 1, 1});
  const Outcome stopped = run("stopped", {0, 0, 1, 1}, stop_after(4, 2, 3));
  EXPECT_TRUE(stopped.stopped);
  const Outcome resumed = run("stopped", {0, 0, 1, 1});
  EXPECT_TRUE(resumed.weights == through.weights);
  const auto poisoned = [](TrainInput& input) {
    if (input.decoder.ranks().weights->place().node_rank == 0) {
      input.decoder.parameters()[0].value[2047 * 16] = std::numeric_limits<float>::infinity();
    }
    input.decoder.ranks().weights->barrier();
    input.train[7].tokens[1] = 2047;
    input.options.on_spike = "rollback";
    input.options.no_decay = {"embed_tokens"};
    input.heldout.clear();
  };
  const Outcome rolled_back = run("rollback", {0, 0, 0}, poisoned);
  EXPECT_GT(rolled_back.result.rollbacks, 0);
}

TEST_F(DataParallelTest, CheckpointsKnowNoWorldSize) {
  run("through", {0});
  for (const char* state : {"f32", "int8"}) {
    run(fmt::format("eight-{}", state), {0, 0, 0, 0, 1, 1, 1, 1}, [&](TrainInput& input) {
      zero(1, state)(input);
      input.options.max_steps = 3;
      input.options.schedule = "constant";
    });
    const std::string saved = micro::checkpoint_bytes(root_ / fmt::format("eight-{}", state), 3);
    std::string one;
    for (const Nodes& nodes : {Nodes{0}, {0, 0}, {0, 0, 0, 0, 0, 0}, {0, 0, 1, 1}}) {
      const std::string name = fmt::format("on-{}-{}", state, nodes.size());
      fs::copy(root_ / fmt::format("eight-{}", state), root_ / name, fs::copy_options::recursive);
      const Outcome outcome = run(name, nodes, [&](TrainInput& input) {
        zero(1, state)(input);
        input.options.schedule = "constant";
        input.options.keep = 9;
      });
      EXPECT_EQ(outcome.result.resumed_from, 3) << name;
      if (one.empty()) {
        one = name;
      } else {
        expect_close(name, one, kOrder);  // the same rows, to the sample
        for (std::size_t i = 1; i < 8; ++i) {
          EXPECT_EQ(parse_json(micro::metrics(root_ / name)[i], "a")["batch"],
                    parse_json(micro::metrics(root_ / one)[i], "b")["batch"]);
        }
      }
      EXPECT_TRUE(micro::checkpoint_bytes(root_ / name, 3) == saved);
    }
  }
}

TEST_F(DataParallelTest, WhatRanksWriteIsWhatOneWouldWrite) {
  run("four", {0, 0, 1, 1}, [](TrainInput& input) {
    input.options.max_steps = 3;
    input.extra_files = {{"tokenizer.model", "pieces"}};
  });
  const fs::path folder = root_ / "four" / "checkpoints" / "step-00000003";
  verify_checkpoint(folder);
  EXPECT_EQ(parse_json(io::read_file(folder / "manifest.json"), "manifest")["version"], 2);
  model::Decoder decoder(wide_config());
  Optimizer optimizer(std::as_const(decoder).trainable(), {});
  CheckpointStore store(root_ / "four", "key-1", 2, io::quick_disk());
  TrainState state = *store.load(decoder, optimizer);
  state.step = 4;
  store.save(state, decoder, optimizer, {});
  EXPECT_TRUE(micro::checkpoint_bytes(root_ / "four", 3) ==
              micro::checkpoint_bytes(root_ / "four", 4));
  EXPECT_EQ(parse_json(io::read_file(store.folder(4) / "manifest.json"), "manifest")["version"], 1);
  // A model folder of its own, whose every byte is vouched for.
  const model::Decoder loaded = model::load_decoder(folder);
  EXPECT_TRUE(std::ranges::equal(loaded.parameters()[3].value, decoder.parameters()[3].value));
  std::string bytes = io::read_file(folder / "model.safetensors");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  io::write_file_atomically(folder / "model.safetensors", bytes);
  EXPECT_THROW(static_cast<void>(model::load_decoder(folder)), Error);
  EXPECT_THROW(verify_checkpoint(folder), Error);
}

TEST_F(DataParallelTest, ADamagedRangeIsSaidAndTheCheckpointBeforeIsUsed) {
  const Outcome through = run("through", {0, 0});
  fs::copy(root_ / "through", root_ / "damaged", fs::copy_options::recursive);
  const fs::path folder = root_ / "damaged" / "checkpoints" / "step-00000007";
  std::string bytes = io::read_file(folder / "optimizer.safetensors");
  bytes[bytes.size() - 9] = static_cast<char>(bytes[bytes.size() - 9] ^ 1);
  io::write_file_atomically(folder / "optimizer.safetensors", bytes);
  ::testing::internal::CaptureStderr();
  const Outcome resumed = run("damaged", {0, 0});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("step-00000007 is damaged"));
  EXPECT_EQ(resumed.result.resumed_from, 6);
  EXPECT_TRUE(resumed.weights == through.weights);
}

TEST_F(DataParallelTest, ASpikeIsOneForAll) {
  const auto poisoned = [](const char* policy) {
    return [policy](TrainInput& input) {
      input.decoder.parameters()[0].value[2047 * 16] = std::numeric_limits<float>::infinity();
      input.train[7].tokens[1] = 2047;
      input.options.on_spike = policy;
      input.options.no_decay = {"embed_tokens"};  // infinity less infinity is not a number
      input.heldout.clear();
    };
  };
  const Outcome stopped = run("stop", {0, 0, 0}, poisoned("stop"));
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(std::ranges::count(stopped.messages, ""), 2);
  for (const char* policy : {"skip", "rollback"}) {
    const Outcome one = run(std::string(policy) + "-1", {0}, poisoned(policy));
    const Outcome three = run(std::string(policy) + "-3", {0, 0, 0}, poisoned(policy));
    EXPECT_EQ(three.result.skipped_steps, one.result.skipped_steps);
    EXPECT_EQ(three.result.rollbacks, one.result.rollbacks);
    EXPECT_GT(three.result.skipped_steps + three.result.rollbacks, 0);
    expect_close(std::string(policy) + "-3", std::string(policy) + "-1", kOrder);
  }
}

TEST(ShardsTest, CoverEveryNumberOnceAndBeginWhereBlocksDo) {
  model::Decoder decoder(wide_config());
  const auto parameters = std::as_const(decoder).trainable();
  for (const int ranks : {1, 2, 3, 8, 100}) {
    const model::Shards shards(parameters, ranks);
    std::vector<std::vector<int>> owners;
    for (const model::Parameter& parameter : parameters)
      owners.emplace_back(parameter.value.size());
    std::size_t most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      std::size_t own = 0;
      for (const model::Slice& slice : shards.slices(rank)) {
        EXPECT_EQ(slice.begin % 16384, 0U);
        for (std::size_t i = 0; i < slice.count; ++i) ++owners[slice.parameter][slice.begin + i];
        own += slice.count;
      }
      most = std::max(most, own);
    }
    for (const auto& of : owners) EXPECT_EQ(std::ranges::count(of, 1), std::ssize(of));
    if (ranks == 2) {
      EXPECT_LT(most, 16384U * 3) << "the embedding is cut";
    }
    std::size_t at = 0;
    for (const model::Bucket& bucket : shards.buckets()) {
      EXPECT_EQ(bucket.begin, at);
      at += bucket.count;
      std::size_t inside = 0;
      for (const dist::Part& part : bucket.parts) inside += part.count;
      EXPECT_EQ(inside, bucket.count);
    }
  }
}

}  // namespace
}  // namespace nativo::train
