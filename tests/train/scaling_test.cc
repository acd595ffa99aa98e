// The arithmetic of estimates on paper, against figures worked out by hand.
#include "train/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "io/file.h"
#include "io/temp_folder.h"
#include "model/decoder_ranks.h"
#include "model/model_size.h"
#include "train/devices.h"
#include "train/flops.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ScalingTest : public testing::Test {
 protected:
  ScalingTest() {
    options_.seq_len = 1024;
    options_.micro_batch = 1;
    options_.batch_tokens = 1024 * 1024;
    options_.checkpoint_every = 0;
    // Figures that make seconds easy to tell: nothing but what a test changes takes time.
    cluster_.device = {.memory_gib = 1000.0,
                       .tflops = 100.0,
                       .update_gbs = 1e6,
                       .node_gbs = 1e6,
                       .node_latency_us = 0.0,
                       .number_bytes = 2};
    cluster_.link_gbs = 1e6;
    cluster_.link_latency_us = 0.0;
    cluster_.disk_gbs = 1e6;
  }
  [[nodiscard]] ScalingEstimate estimate() const {
    return estimate_step(config_, options_, {}, dist_, cluster_);
  }

  model::DecoderConfig config_ = model::model_size("1b").config;
  TrainOptions options_;
  DistOptions dist_;
  Cluster cluster_;
};

TEST_F(ScalingTest, ARankAloneComputesAndUpdates) {
  const ScalingEstimate one = estimate();
  const double row = step_flops(config_, 0.0, {1024.0, 1024.0, keys_seen(config_, 1024)});
  EXPECT_DOUBLE_EQ(one.time.compute, 1024.0 * row / 100e12);
  EXPECT_EQ(one.time.exchange, 0.0);
  EXPECT_EQ(one.time.gather, 0.0);
  EXPECT_NEAR(one.time.step, one.time.compute, 1e-3 * one.time.compute);
  EXPECT_NEAR(one.utilisation, 1.0, 1e-3);
  EXPECT_NEAR(one.tokens_per_second, 1024.0 * 1024.0 / one.time.step, 1.0);
  EXPECT_EQ(one.rows, 1024);
  // 6 operations a parameter and token, and attention: the usual rule of thumb.
  EXPECT_NEAR(row / (6.0 * static_cast<double>(config_.parameter_count()) * 1024.0), 1.0, 0.15);
}

TEST_F(ScalingTest, RecomputingTakesTimeButIsNoWork) {
  const ScalingEstimate kept = estimate();
  options_.recompute = "block";
  const ScalingEstimate again = estimate();
  // The forward pass is a third; of it the products behind the MLP's activation and the head stay.
  EXPECT_GT(again.time.compute / kept.time.compute, 1.15);
  EXPECT_LT(again.time.compute / kept.time.compute, 1.34);
  EXPECT_LT(again.utilisation, kept.utilisation);
}

TEST_F(ScalingTest, SumsInANodeHideBehindTheBackwardPassButForTheEmbeddings) {
  cluster_.ranks_per_node = 8;
  cluster_.device.node_gbs = 100.0;
  ScalingEstimate node = estimate();
  const auto parameters = static_cast<double>(config_.parameter_count());
  const double sum = 7.0 / 8.0 * 2.0 * parameters / 100e9;
  EXPECT_NEAR(node.time.exchange, sum, 1e-4 * sum);
  EXPECT_NEAR(node.time.gather, sum, 1e-4 * sum);
  const double embeddings = static_cast<double>(config_.vocab_size * config_.hidden_size);
  EXPECT_NEAR(node.time.exposed, sum * embeddings / parameters, 1e-3 * sum);
  EXPECT_EQ(node.rows, 128);
  // With links that are slow beside the arithmetic, what the last micro-batch cannot hide shows.
  cluster_.device.node_gbs = 0.1;
  node = estimate();
  EXPECT_NEAR(node.time.exposed, 1000.0 * sum - 2.0 / 3.0 * node.time.compute / 128.0, 1e-2);
}

// As the trainer's ranks do: GPUs in the model's type unless another is said, cores in f32.
TEST_F(ScalingTest, NodesExchangeSumsInTheTypeThatTheTrainerTakes) {
  cluster_.nodes = 4;
  cluster_.link_gbs = 10.0;
  const double bytes = 3.0 / 4.0 * static_cast<double>(config_.parameter_count());
  EXPECT_NEAR(estimate().time.exchange, 2.0 * bytes / 10e9, 1e-3);
  EXPECT_NEAR(estimate().time.gather, 2.0 * bytes / 10e9, 1e-3);
  dist_.gradient_type = "f32";
  EXPECT_NEAR(estimate().time.exchange, 4.0 * bytes / 10e9, 1e-3);
  EXPECT_NEAR(estimate().time.gather, 2.0 * bytes / 10e9, 1e-3);
  dist_.gradient_type = "auto";
  cluster_.device.number_bytes = 4;
  cluster_.device.cores = 1;
  EXPECT_NEAR(estimate().time.exchange, 4.0 * bytes / 10e9, 1e-3);
  dist_.gradient_type = "f16";
  EXPECT_THROW(static_cast<void>(estimate()), Error);
}

TEST_F(ScalingTest, InANodeGpusSumWhatCrosses) {
  cluster_.ranks_per_node = 8;
  cluster_.device.node_gbs = 100.0;
  const double own = estimate().time.exchange;
  dist_.gradient_type = "f32";
  EXPECT_NEAR(estimate().time.exchange / own, 2.0, 1e-3);
}

TEST_F(ScalingTest, GradientsInBf16CrossInHalfTheTime) {
  cluster_.nodes = 4;
  cluster_.link_gbs = 10.0;
  for (const std::int64_t zero : {0, 1, 2}) {
    dist_.zero = zero;
    cluster_.device.number_bytes = 4;
    dist_.gradient_type = "auto";
    const double f32 = estimate().time.exchange;
    dist_.gradient_type = "bf16";
    EXPECT_NEAR(estimate().time.exchange / f32, 0.5, 1e-3) << zero;
  }
}

// Four columns of two: each rank has a quarter of the layers, and the sums of a node's columns
// share its link.
TEST_F(ScalingTest, TensorParallelRanksComputePartsAndSumActivations) {
  cluster_.nodes = 2;
  cluster_.ranks_per_node = 4;
  config_.heads = config_.kv_heads = 16;
  const ScalingEstimate whole = estimate();
  dist_.tensor = 4;
  const ScalingEstimate cut = estimate();
  EXPECT_EQ(cut.rows, 4 * whole.rows);
  const double length = 1024.0;
  const double keys = keys_seen(config_, 1024);
  model::DecoderConfig part = model::tensor_part(config_, 4);
  EXPECT_DOUBLE_EQ(cut.time.compute,
                   512.0 * step_flops(part, 0.0, {length, length, keys}) / 100e12);
  EXPECT_EQ(whole.time.tensor, 0.0);
  EXPECT_NEAR(cut.utilisation, whole.time.compute / cut.time.compute, 1e-2);
  // Four sums a layer of 512 x 1024 positions, to the parts and back, over three quarters.
  cluster_.device.node_gbs = 100.0;
  const double bytes = 2.0 * 512.0 * 1024.0 * static_cast<double>(config_.hidden_size);
  const double layers = static_cast<double>(config_.layers);
  EXPECT_NEAR(estimate().time.tensor, layers * 4.0 * 2.0 * 0.75 * bytes / 100e9, 1e-6);
  options_.recompute = "block";
  EXPECT_NEAR(estimate().time.tensor, layers * 5.0 * 2.0 * 0.75 * bytes / 100e9, 1e-6);
  cluster_.device.node_gbs = 1e6;
  cluster_.link_gbs = 10.0;
  EXPECT_NEAR(estimate().time.exchange,  // columns x half x bf16
              4.0 * 0.5 * 2.0 * static_cast<double>(part.parameter_count()) / 10e9, 1e-3);
  cluster_.device.number_bytes = 4;
  EXPECT_EQ(estimate().memory,
            training_memory(config_, options_, {}, rank_count(8, 4, dist_)).peak());
  dist_.tensor = 3;
  EXPECT_THROW(static_cast<void>(estimate()), Error);
}

TEST_F(ScalingTest, LayersOfStage3AreGatheredWhereANodeHasNotAllOfThem) {
  dist_.zero = 3;
  cluster_.ranks_per_node = 8;
  cluster_.device.node_gbs = 0.1;  // too slow to hide
  const ScalingEstimate node = estimate();
  const double embeddings = 2.0 * static_cast<double>(config_.vocab_size * config_.hidden_size);
  const double layers = static_cast<double>(config_.parameter_count()) - embeddings;
  const double gathers = 2.0 * 128.0 * layers + embeddings;
  EXPECT_NEAR(node.time.gather, 7.0 / 8.0 * 2.0 * gathers / 0.1e9 - node.time.compute,
              1e-3 * node.time.gather);
  // Of cores, a node's ranks have them in common.
  cluster_.device.cores = 2;
  EXPECT_EQ(estimate().time.gather, 0.0);
  cluster_.nodes = 2;
  EXPECT_NEAR(estimate().time.gather, 0.5 * 2.0 * (2.0 * 64.0 * layers + embeddings) / 0.1e9,
              1e-3 * estimate().time.gather);
}

TEST_F(ScalingTest, ACoreIsSlowerBesideBusyOnes) {
  cluster_.device.cores = 3;
  cluster_.device.tflops_alone = 140.0;
  cluster_.device.update_gbs = 1e-3;
  cluster_.device.update_gbs_alone = 2e-3;
  const auto of = [&](std::int64_t ranks) {
    cluster_.ranks_per_node = ranks;
    return estimate().time;
  };
  const StepTime one = of(1);
  EXPECT_NEAR(of(2).compute, one.compute * 140.0 / 120.0 / 2.0, 1e-6 * one.compute);
  EXPECT_NEAR(of(6).compute, one.compute * 140.0 / 100.0 / 3.0, 3e-3 * one.compute);
  EXPECT_NEAR(of(3).update, one.update * 2.0 / 3.0, 1e-3 * one.update);
}

TEST_F(ScalingTest, ZeroNeedsLessMemoryOfEachAndUpdatesLess) {
  cluster_.ranks_per_node = 8;
  cluster_.device.update_gbs = 100.0;
  const ScalingEstimate sharded = estimate();
  dist_.zero = 0;
  const ScalingEstimate whole = estimate();
  EXPECT_NEAR(whole.time.update / sharded.time.update, 8.0, 1e-6);
  const auto parameters = static_cast<double>(config_.parameter_count());
  EXPECT_NEAR(static_cast<double>(whole.memory - sharded.memory), 8.0 * parameters * 7.0 / 8.0,
              0.01 * parameters);
}

TEST_F(ScalingTest, MemoryIsThePlansInNumbersOfTheDevice) {
  cluster_.device.number_bytes = 4;
  const ScalingEstimate f32 = estimate();
  EXPECT_EQ(f32.memory, training_memory(config_, options_, {}, {.ranks = 1, .zero = 1}).peak());
  cluster_.device.number_bytes = 2;
  EXPECT_LT(estimate().memory, f32.memory);
  cluster_.device.memory_gib = static_cast<double>(f32.memory - 1) / 0x1p30;
  cluster_.device.number_bytes = 4;
  EXPECT_FALSE(estimate().fits);
}

TEST_F(ScalingTest, MoreRanksThanRowsAreIdle) {
  options_.batch_tokens = 4 * 1024;
  cluster_.ranks_per_node = 8;
  const ScalingEstimate eight = estimate();
  EXPECT_TRUE(eight.idle_ranks);
  cluster_.ranks_per_node = 4;
  EXPECT_FALSE(estimate().idle_ranks);
  EXPECT_DOUBLE_EQ(eight.time.compute, estimate().time.compute);
}

TEST_F(ScalingTest, OnOneNodeNoLinkIsNeeded) {
  cluster_.link_gbs = 0.0;
  cluster_.ranks_per_node = 4;
  for (const std::int64_t tensor : {1, 2}) {
    dist_.tensor = tensor;
    config_.heads = config_.kv_heads = 16;
    EXPECT_TRUE(std::isfinite(estimate().time.step));
  }
}

TEST_F(ScalingTest, RanksOnSharedCoresAreNoFasterThanTheCores) {
  cluster_.device.cores = 2;
  cluster_.device.node_latency_us = 10.0;
  cluster_.ranks_per_node = 2;
  const ScalingEstimate two = estimate();
  cluster_.ranks_per_node = 8;
  const ScalingEstimate eight = estimate();
  EXPECT_DOUBLE_EQ(two.time.compute, eight.time.compute);
  EXPECT_DOUBLE_EQ(eight.time.exposed, eight.time.exchange);
  EXPECT_NEAR(eight.time.small / two.time.small, 4.0, 1e-6);  // four ranks take turns on a core
}

// Two pass over what they sum three times, eight nine times; what is gathered each rank copies into
// memory and from there.
TEST_F(ScalingTest, CoresReadWhatTheySumAndCopyWhatTheyGather) {
  cluster_.device.cores = 2;
  cluster_.device.node_gbs = 1.0;
  const double bytes = 2.0 * static_cast<double>(config_.parameter_count());
  for (const std::int64_t ranks : {2, 8}) {
    cluster_.ranks_per_node = ranks;
    const StepTime time = estimate().time;
    const double sum = static_cast<double>(ranks + 1) / 3.0 * bytes / 1e9;
    EXPECT_NEAR(time.exchange, sum, 1e-4 * sum);
    const double gather = 2.0 * static_cast<double>(ranks) / 3.0 * bytes / 1e9;
    EXPECT_NEAR(time.gather, gather, 1e-4 * gather);
  }
}

TEST_F(ScalingTest, CheckpointsWaitForADiskThatIsTooSlow) {
  options_.checkpoint_every = 10;
  const double fast = estimate().time.save;
  EXPECT_LT(fast, 1e-4 * estimate().time.step);
  cluster_.disk_gbs = 0.01;  // 12 bytes of a billion parameters: 1,200 s, ten steps far less
  const ScalingEstimate slow = estimate();
  const double write = 12.0 * static_cast<double>(config_.parameter_count()) / 1e7;
  EXPECT_NEAR(slow.time.save, (write - 10.0 * (slow.time.step - slow.time.save)) / 10.0,
              0.01 * slow.time.save);
  options_.background_checkpoints = false;
  EXPECT_GT(estimate().time.save, slow.time.save);
}

TEST_F(ScalingTest, FollowsAPublishedStepOfEightGpus) {
  // llmq trains Qwen2.5-7B on 8 H100 with 14.0k tokens/s each; our 7b has 5 % fewer parameters.
  SimulationOptions simulation;
  simulation.nodes = "1";
  cluster_ = simulation.clusters().front();
  config_ = model::model_size("7b").config;
  options_.batch_tokens = 500 * 1024;
  EXPECT_NEAR(estimate().tokens_per_second / 8.0 / 14000.0, 1.0, 0.1);
}

TEST(Devices, AllSayWhereTheirFiguresComeFrom) {
  for (const auto& [name, device] : read_devices()) {
    EXPECT_FALSE(device.about.empty()) << name;
    EXPECT_FALSE(device.source.empty()) << name;
  }
}

TEST(Devices, AFileAddsItsOwn) {
  const io::TempFolder folder;
  folder.put("mine.toml",
             "[device.mine]\ntflops = 5\nupdate_gbs = 7\nnode_gbs = 1\n[device.h200]\ntflops = 1\n"
             "update_gbs = 7\nnode_gbs = 1\n");
  const auto devices = read_devices(folder / "mine.toml");
  EXPECT_EQ(find_device(devices, "mine").update_gbs, 7.0);
  EXPECT_EQ(find_device(devices, "h200").tflops, 1.0);
  EXPECT_EQ(find_device(devices, "h100-sxm").number_bytes, 2);
  try {
    static_cast<void>(find_device(devices, "h300"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("h300"));
  }
  folder.put("bad.toml", "[device.mine]\ntflops = 5\n");
  EXPECT_THROW(static_cast<void>(read_devices(folder / "bad.toml")), Error);
}

TEST(Simulation, DoublesFromTheFirstNumberOfNodesToTheLast) {
  const auto nodes = [](const char* text, std::int64_t gpus) {
    SimulationOptions options;
    options.nodes = text;
    options.gpus = gpus;
    std::vector<std::int64_t> all;
    for (const Cluster& cluster : options.clusters()) all.push_back(cluster.nodes);
    return all;
  };
  EXPECT_THAT(nodes("3", 8), ElementsAre(3));
  EXPECT_THAT(nodes("3-20", 8), ElementsAre(3, 6, 12, 20));
  EXPECT_THAT(nodes("", 1024), ElementsAre(1, 2, 4));
  for (const char* bad : {"0", "2-1", "a", "1-", "-2", "99999999", "1 ", "1-2-3"}) {
    EXPECT_THROW(static_cast<void>(nodes(bad, 1)), Error) << bad;
  }
}

}  // namespace
}  // namespace nativo::train
