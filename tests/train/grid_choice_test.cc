#include "train/grid_choice.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/model_size.h"

namespace nativo::train {
namespace {

constexpr std::size_t kGiB = std::size_t{1} << 30;

GridChoice choose(std::size_t gib, std::int64_t ranks, std::int64_t per_node,
                  const TrainOptions& options = {}) {
  return choose_grid(model::model_size("7b").config, options, {}, gib * kGiB,
                     {.ranks = ranks, .per_node = per_node});
}

std::size_t peak(const RankCount& ranks) {
  return training_memory(model::model_size("7b").config, {}, {}, ranks).peak();
}

TEST(GridChoice, CutsNoMoreThanItMust) {
  EXPECT_EQ(settings_of(choose(400, 8, 8)), "dist.zero=1 dist.tensor=1");
  EXPECT_EQ(settings_of(choose(64, 8, 8)), "dist.zero=2 dist.tensor=1");
  EXPECT_EQ(settings_of(choose(40, 8, 8)), "dist.zero=3 dist.tensor=1");
  const GridChoice cut = choose(34, 8, 8);
  EXPECT_TRUE(cut.fits);
  EXPECT_EQ(settings_of(cut), "dist.zero=3 dist.tensor=2");
  EXPECT_LE(cut.peak, 34 * kGiB);
  const GridChoice hopeless = choose(2, 8, 8);
  EXPECT_FALSE(hopeless.fits);
  EXPECT_GT(hopeless.tensor, 1) << "what needs least";
}

TEST(GridChoice, TensorParallelRanksStayOnANodeAndCutWholeBlocks) {
  EXPECT_EQ(choose(2, 6, 3).tensor, 1);
  EXPECT_LE(choose(2, 8, 2).tensor, 2);
  EXPECT_LE(choose(1, 64, 64).tensor, 8) << "the model has eight key/value heads";
  TrainOptions options;
  options.method = "qlora-nf4";
  EXPECT_LE(choose(1, 64, 64, options).tensor, 8);
}

TEST(GridChoice, RangesOfDoublyQuantisedScalesAreNotCut) {
  TrainOptions options;
  options.method = "qlora-nf4";
  LoraTableOptions lora;
  lora.double_quant = true;
  const model::DecoderConfig config = model::model_size("7b").config;
  EXPECT_EQ(choose_grid(config, options, lora, kGiB, {.ranks = 8, .per_node = 8}).tensor, 1);
  const RankCount cut{.ranks = 8, .tensor = 2};
  try {
    static_cast<void>(training_memory(config, options, lora, cut));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("lora.double_quant"), std::string::npos);
  }
  options.method = "lora";  // nothing is quantised
  EXPECT_GT(training_memory(config, options, lora, cut).peak(), 0U);
}

TEST(GridChoice, WhatANodeHasOnceIsShared) {
  const std::size_t one = peak({.ranks = 1, .zero = 1});
  const std::size_t whole = peak({.ranks = 8, .zero = 0});
  const std::size_t state = peak({.ranks = 8, .zero = 1});
  const std::size_t gradients = peak({.ranks = 8, .zero = 2});
  const std::size_t weights = peak({.ranks = 8, .zero = 3});
  EXPECT_LT(state, whole);
  EXPECT_LT(gradients, state);
  EXPECT_LT(weights, gradients);
  EXPECT_LT(weights, one / 4);
  EXPECT_GT(peak({.ranks = 8, .zero = 3, .per_node = 2}), weights) << "three layers on every node";
  EXPECT_LT(peak({.ranks = 64, .zero = 3, .per_node = 8}), weights) << "parts of the others";
  EXPECT_LT(peak({.ranks = 8, .zero = 3, .tensor = 2}), weights);
  EXPECT_EQ(peak({.ranks = 8, .zero = 3, .tensor = 2}),
            peak({.ranks = 8, .zero = 3, .tensor = 2, .per_node = 8}));
}

}  // namespace
}  // namespace nativo::train
