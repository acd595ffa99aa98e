#include "generate/local_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "generate/fake_language_model.h"
#include "generate/packing.h"

namespace nativo::generate {
namespace {

model::DecoderConfig small_config(std::int64_t vocab_size) {
  model::DecoderConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.max_positions = 96;
  config.sliding_window = 24;
  return config;
}

/// A small model with random weights, large enough that its distributions are not flat.
std::unique_ptr<LocalModel> small_model(std::int64_t extra_rows = 0) {
  text::Tokenizer tokenizer = test_tokenizer();
  model::Decoder decoder(small_config(tokenizer.vocab_size() + extra_rows));
  decoder.initialize(3);
  for (model::Parameter& parameter : decoder.parameters()) {
    if (parameter.shape.size() != 2) continue;
    for (float& value : parameter.value) value *= 12.0F;
  }
  return std::make_unique<LocalModel>(std::move(decoder), std::move(tokenizer));
}

std::vector<TokenId> random_tokens(std::uint64_t stream, std::size_t count) {
  Rng rng(11, stream);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(rng.below(600));
  return ids;
}

std::vector<ScoreRequest> random_requests(std::size_t count) {
  std::vector<ScoreRequest> requests;
  for (std::size_t i = 0; i < count; ++i) {
    requests.push_back({.context = random_tokens(2 * i, 1 + i * 7 % 40),
                        .continuation = random_tokens(2 * i + 1, i % 9)});
  }
  return requests;
}

TEST(Packing, PlacesEveryRequestOnceAndShiftsTargets) {
  const std::vector<ScoreRequest> requests = random_requests(60);
  std::vector<int> seen(requests.size());
  for (const ScoreBatch& packed : pack_requests(requests, 96, 128)) {
    const model::Batch& batch = packed.batch;
    ASSERT_EQ(std::ssize(batch.tokens), batch.rows * batch.length);
    EXPECT_LE(batch.rows * batch.length, 128);
    for (const Placement& placement : packed.placements) {
      ++seen[placement.request];
      const ScoreRequest& request = requests[placement.request];
      ASSERT_EQ(placement.count, request.continuation.size());
      const std::size_t start = placement.first + 1 - request.context.size();
      for (std::size_t i = 0; i < request.context.size(); ++i) {
        EXPECT_EQ(batch.tokens[start + i], request.context[i]);
        EXPECT_EQ(batch.positions[start + i], static_cast<std::int32_t>(i));
        EXPECT_EQ(batch.documents[start + i], batch.documents[start]);
      }
      for (std::size_t i = 0; i < placement.count; ++i) {
        EXPECT_EQ(batch.targets[placement.first + i], request.continuation[i]);
      }
    }
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], requests[i].continuation.empty() ? 0 : 1) << i;
  }
}

TEST(Packing, CutsTheBeginningOfWhatIsTooLong) {
  const std::vector<ScoreRequest> requests = {{random_tokens(0, 50), random_tokens(1, 4)}};
  const auto batches = pack_requests(requests, 10, 128);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].batch.length, 10);
  EXPECT_EQ(batches[0].batch.tokens[0], requests[0].context[50 + 4 - 11]);
  const std::vector<ScoreRequest> hopeless = {{random_tokens(0, 1), random_tokens(1, 11)}};
  EXPECT_THROW(static_cast<void>(pack_requests(hopeless, 10, 128)), Error);
}

TEST(LocalModel, ARequestAmongOthersScoresAsAlone) {
  const auto model = small_model();
  const std::vector<ScoreRequest> requests = random_requests(40);
  const std::vector<Score> together = model->score(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Score alone = model->score(std::span(&requests[i], 1))[0];
    // f32 sums in another order: a few units of 1e-6 a token on values around -10.
    EXPECT_NEAR(together[i].log_prob, alone.log_prob, 2e-4) << i;
    EXPECT_EQ(together[i].token_log_probs.size(), requests[i].continuation.size());
  }
}

TEST(LocalModel, ScoresAreProbabilities) {
  const auto model = small_model();
  std::vector<ScoreRequest> requests;
  for (TokenId id = 0; id < 600; ++id) requests.push_back({random_tokens(5, 20), {id}});
  double sum = 0.0;
  int greedy_ones = 0;
  for (const Score& score : model->score(requests)) {
    sum += std::exp(score.log_prob);
    greedy_ones += score.greedy ? 1 : 0;
  }
  EXPECT_NEAR(sum, 1.0, 1e-4);  // 600 f32 probabilities
  EXPECT_EQ(greedy_ones, 1);
}

TEST(LocalModel, WhatGreedyDecodingSaysIsWhatScoringCallsGreedy) {
  const auto model = small_model();
  const std::vector<TokenId> prompt = random_tokens(9, 30);
  const Generation said = model->generate(prompt, greedy(40), {});
  ASSERT_GE(said.tokens.size(), 5U);
  const ScoreRequest request{prompt, said.tokens};
  EXPECT_TRUE(model->score(std::span(&request, 1))[0].greedy);
}

TEST(LocalModel, TheSameSeedSaysTheSameWhateverWasSaidBefore) {
  const auto model = small_model();
  SamplerOptions options;
  options.temperature = 1.0;
  options.max_tokens = 30;
  const std::vector<TokenId> prompt = random_tokens(9, 12);
  const std::vector<TokenId> first = model->generate(prompt, options, {}).tokens;
  std::vector<TokenId> longer = prompt;
  longer.insert(longer.end(), first.begin(), first.end());
  longer.push_back(17);
  static_cast<void>(model->generate(longer, options, {}));
  EXPECT_EQ(model->generate(prompt, options, {}).tokens, first);
  EXPECT_EQ(small_model()->generate(prompt, options, {}).tokens, first);
  options.seed = 99;
  EXPECT_NE(model->generate(prompt, options, {}).tokens, first);
}

TEST(LocalModel, ReusedCacheEqualsAFreshRun) {
  const auto warm = small_model();
  const std::vector<TokenId> shared = random_tokens(1, 40);
  static_cast<void>(warm->generate(shared, greedy(20), {}));
  std::vector<TokenId> prompt(shared.begin(), shared.begin() + 33);
  prompt.push_back(5);
  EXPECT_EQ(warm->generate(prompt, greedy(30), {}).tokens,
            small_model()->generate(prompt, greedy(30), {}).tokens);
}

TEST(LocalModel, StopsAtTheEndOfTheContextAndRefusesWhatFillsIt) {
  const auto model = small_model();
  SamplerOptions options = greedy(1000);
  const Generation said = model->generate(random_tokens(2, 90), options, {});
  if (said.reason != StopReason::kEndOfSequence) {
    EXPECT_EQ(said.reason, StopReason::kContextFull);
    EXPECT_EQ(said.tokens.size(), 6U);
  }
  EXPECT_THROW(model->generate(random_tokens(2, 96), options, {}), Error);
}

TEST(LocalModel, NeverSaysATokenThatTheTokenizerLacks) {
  const auto model = small_model(200);
  SamplerOptions options;
  options.temperature = 50.0;
  options.top_p = 1.0;
  options.max_tokens = 90;
  for (const TokenId id : model->generate(random_tokens(2, 3), options, {}).tokens) {
    EXPECT_LT(id, model->tokenizer().vocab_size());
  }
}

TEST(LocalModel, RefusesATokenizerThatIsTooLarge) {
  model::Decoder decoder(small_config(100));
  EXPECT_THROW(LocalModel(std::move(decoder), test_tokenizer()), Error);
}

}  // namespace
}  // namespace nativo::generate
