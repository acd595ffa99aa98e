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

}  // namespace
}  // namespace nativo::train
