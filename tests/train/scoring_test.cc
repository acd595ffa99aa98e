#include "train/scoring.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "micro.h"
#include "train/packer.h"

namespace nativo::train {
namespace {

/// Scores of `examples`, `fail_at` = the call of next() that throws.
std::vector<Score> score_all(const std::vector<Example>& examples, std::int64_t batch_tokens,
                             std::size_t fail_at = SIZE_MAX) {
  model::Decoder decoder = micro::decoder();
  std::vector<Score> scores;
  std::size_t at = 0;
  const auto next = [&](Example& example) {
    if (at == fail_at) throw Error(ExitCode::kData, "line 4");
    if (at == examples.size()) return false;
    example = examples[at++];
    return true;
  };
  const auto take = [&](const Score& score) { scores.push_back(score); };
  if (fail_at == SIZE_MAX) {
    score_examples(decoder, next, batch_tokens, take);
  } else {
    EXPECT_THROW(score_examples(decoder, next, batch_tokens, take), Error);
  }
  return scores;
}

TEST(Scoring, EachExampleScoresAsAloneAndInOrder) {
  const std::vector<Example> examples = micro::examples(20, 3);
  const std::vector<Score> together = score_all(examples, 100);
  ASSERT_EQ(together.size(), examples.size());
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const Score& score = together[i];
    EXPECT_EQ(score.id, examples[i].id);
    ASSERT_EQ(score.log_probs.size() + 1, examples[i].tokens.size());
    const Score alone = score_all({examples[i]}, 1).at(0);
    double loss = 0.0;
    std::int64_t targets = 0;
    for (std::size_t t = 0; t < score.log_probs.size(); ++t) {
      EXPECT_NEAR(score.log_probs[t], alone.log_probs[t], 1e-5);
      if (examples[i].loss_mask[t + 1] == 0) continue;
      loss -= score.log_probs[t];
      ++targets;
    }
    EXPECT_EQ(score.targets, targets);
    EXPECT_NEAR(score.loss, loss, 1e-9);
  }
}

TEST(Scoring, TheSumIsTheTrainingsLoss) {
  const std::vector<Example> examples = micro::examples(20, 3);
  double loss = 0.0;
  std::int64_t targets = 0;
  for (const Score& score : score_all(examples, 64)) {
    loss += score.loss;
    targets += score.targets;
  }
  model::Decoder decoder = micro::decoder();
  // Rows of the longest example, so that the packer cuts none.
  EXPECT_NEAR(loss / static_cast<double>(targets),
              heldout_loss(decoder, examples, 40, 2).mean.value(), 1e-6);
}

TEST(Scoring, WhatCameBeforeAFailureIsScored) {
  EXPECT_EQ(score_all(micro::examples(5, 1), 1000, 3).size(), 3U);
}

TEST(Scoring, AnExampleBeyondTheModelsPositionsIsRefused) {
  Example example;
  example.tokens.assign(static_cast<std::size_t>(micro::config().max_positions) + 2, 3);
  example.loss_mask.assign(example.tokens.size(), 1);
  model::Decoder decoder = micro::decoder();
  bool given = false;
  EXPECT_THROW(score_examples(
                   decoder,
                   [&](Example& next) {
                     next = example;
                     return !std::exchange(given, true);
                   },
                   100, [](const Score&) {}),
               Error);
}

}  // namespace
}  // namespace nativo::train
