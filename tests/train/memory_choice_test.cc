#include "train/memory_choice.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/model_size.h"
#include "train/gpu_memory.h"

namespace nativo::train {
namespace {

constexpr std::size_t kGiB = std::size_t{1} << 30;

TEST(MemoryChoice, ChangesNoMoreThanItMust) {
  const model::DecoderConfig config = model::model_size("7b").config;
  const auto choice = [&](std::size_t gib) { return fitting_choice(config, {}, {}, {gib * kGiB}); };
  EXPECT_EQ(choice(400).settings, "");
  EXPECT_EQ(choice(130).settings, "train.background_checkpoints=false");
  EXPECT_EQ(choice(112).settings, "train.background_checkpoints=false train.recompute=block");
  EXPECT_EQ(choice(60).settings, "train.method=lora");
  EXPECT_EQ(choice(24).settings, "train.method=qlora-int8");
  EXPECT_EQ(choice(18).settings, "train.micro_batch=1 train.method=qlora-int8");
  for (const std::size_t gib : {400, 130, 112, 60, 24, 18, 8}) {
    EXPECT_LE(choice(gib).peak, gib * kGiB) << gib;
  }
  EXPECT_GT(choice(1).peak, kGiB);
  EXPECT_NE(choice(1).settings.find("train.method=qlora-nf4"), std::string::npos);
}

TEST(MemoryChoice, WhatExcludesTheOptimizerInTheBackwardPassSwitchesItOff) {
  TrainOptions options;
  options.seq_len = 128;
  options.micro_batch = 8;
  options.batch_tokens = 1024;
  options.clip_norm = 0.0;
  options.optimizer_in_backward = true;
  const model::DecoderConfig config = model::model_size("100m").config;
  const std::size_t peak = training_memory(config, options, {}).peak();
  const MemoryChoice choice = fitting_choice(config, options, {}, {peak / 5});
  EXPECT_NE(choice.settings.find("train.method"), std::string::npos) << choice.settings;
  EXPECT_NE(choice.settings.find("train.optimizer_in_backward=false"), std::string::npos);
  EXPECT_LT(choice.peak, peak);
}

TEST(MemoryChoice, RefusesWhatDoesNotFitAndSaysWhatWould) {
  const model::DecoderConfig config = model::model_size("7b").config;
  EXPECT_NO_THROW(require_memory(config, {}, {}, {400 * kGiB}));
  try {
    require_memory(config, {}, {}, {24 * kGiB});
    FAIL() << "7 B do not train in 24 GiB";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_NE(error.hint().find("it fits with"), std::string::npos) << error.hint();
    EXPECT_NE(error.hint().find("train.method=qlora"), std::string::npos) << error.hint();
  }
  try {
    require_memory(config, {}, {}, {kGiB});
    FAIL() << "nor in 1";
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("even with"), std::string::npos) << error.hint();
  }
}

TrainOptions on_a_gpu() {
  TrainOptions options;
  options.device = "cuda";
  options.seq_len = 2048;
  options.micro_batch = 4;
  options.batch_tokens = 8192;
  return options;
}

TEST(MemoryChoice, OfAGpuOffloadsBeforeItChangesTheResult) {
  const model::DecoderConfig config = model::model_size("7b").config;
  const auto choice = [&](std::size_t gib, std::size_t host) {
    return fitting_choice(config, on_a_gpu(), {}, {gib * kGiB, host * kGiB});
  };
  EXPECT_EQ(choice(140, 1000).settings, "");
  EXPECT_EQ(choice(60, 1000).settings, "train.offload=[\"optimizer\"]");
  // Where the host cannot take it, what waits there and what is copied there is smaller.
  const MemoryChoice narrow = choice(60, 64);
  EXPECT_TRUE(narrow.fits);
  EXPECT_EQ(narrow.settings.find("offload"), std::string::npos) << narrow.settings;
  EXPECT_FALSE(choice(1, 1000).fits);
}

TEST(MemoryChoice, OfAGpuNamesTheHostWhereThatLacks) {
  const model::DecoderConfig config = model::model_size("7b").config;
  TrainOptions options = on_a_gpu();
  const GpuMemory memory = gpu_memory(config, options, {});
  EXPECT_GE(memory.snapshot, static_cast<std::size_t>(config.parameter_count()) * 12);
  EXPECT_NO_THROW(require_memory(config, options, {}, {140 * kGiB, memory.host()}));
  try {
    require_memory(config, options, {}, {140 * kGiB, memory.host() - 1});
    FAIL() << "a copy of the state does not fit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_NE(std::string(error.what()).find("the host's memory"), std::string::npos);
    EXPECT_NE(error.hint().find("it fits with train.optimizer_state="), std::string::npos)
        << error.hint();
  }
  try {
    require_memory(config, options, {}, {40 * kGiB, 1000 * kGiB});
    FAIL() << "the GPU is too small";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("on cuda needs"), std::string::npos);
    EXPECT_NE(error.hint().find("it fits with"), std::string::npos) << error.hint();
  }
}

// A rank's state as it comes from the GPU, two copies of it and, of a neighbour's, two.
TEST(MemoryChoice, CopiesInTheNodesMemoryCountOnTheHostOfGpus) {
  const model::DecoderConfig config = model::model_size("7b").config;
  const auto planned = [&](std::int64_t ranks, std::int64_t per_node) {
    return gpu_memory(config, on_a_gpu(), {},
                      {.ranks = ranks, .per_node = per_node, .neighbour = true});
  };
  EXPECT_EQ(planned(1, 1).neighbour, 0U);
  EXPECT_EQ(planned(8, 8).neighbour, 3 * planned(8, 8).snapshot);
  EXPECT_EQ(planned(8, 4).neighbour, 5 * planned(8, 4).snapshot);
  const GpuMemory memory = planned(8, 4);
  const RankCount without{.ranks = 8, .per_node = 4};
  EXPECT_EQ(memory.host(), gpu_memory(config, on_a_gpu(), {}, without).host() + memory.neighbour);
}

// NCCL connects the ranks that have the same part of the model, and those that share a model.
TEST(MemoryChoice, NcclsBuffersCountWhereItConnects) {
  const model::DecoderConfig config = model::model_size("7b").config;
  const TrainOptions options = on_a_gpu();
  const auto planned = [&](std::int64_t ranks, std::int64_t tensor) {
    return gpu_memory(config, options, {}, {.ranks = ranks, .tensor = tensor});
  };
  EXPECT_EQ(planned(1, 1).nccl, 0U);
  EXPECT_EQ(planned(8, 1).nccl, kNcclBytes);
  EXPECT_EQ(planned(2, 2).nccl, kNcclBytes);
  EXPECT_EQ(planned(8, 2).nccl, 2 * kNcclBytes);
  const GpuMemory memory = planned(8, 2);
  EXPECT_EQ(memory.total(), memory.reserved() + memory.nccl);
  const RankCount ranks{.ranks = 8};
  const std::size_t needed = rank_bytes(config, options, {}, ranks);
  EXPECT_EQ(needed, planned(8, 1).reserved() + kNcclBytes);
  EXPECT_NO_THROW(require_memory(config, options, {}, {needed}, ranks));
  try {
    require_memory(config, options, {}, {needed - 1}, ranks);
    FAIL() << "a byte is missing";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("of NCCL's buffers"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace nativo::train
