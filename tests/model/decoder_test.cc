#include "model/decoder.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/decoder_fixture.h"
#include "reference/decoder.h"

namespace nativo::model {
namespace {

class Families : public testing::TestWithParam<DecoderConfig> {};
INSTANTIATE_TEST_SUITE_P(Decoder, Families, testing::ValuesIn(family_configs()),
                         [](const auto& test) {
                           return fmt::format("{}_{}", family_name(test.param.family), test.index);
                         });

TEST_P(Families, LossAgreesWithTheReference) {
  Decoder decoder(GetParam());
  randomize(decoder);
  const Batch batch = packed_batch(decoder.config());
  const double expected = reference::decoder_loss(decoder.config(), flat_values(decoder), batch);
  const LossSum loss = decoder.forward(batch);
  // f32 arithmetic over two layers: some ten roundings of 6e-8 in a row.
  EXPECT_NEAR(loss.loss / expected, 1.0, 2e-6);
  EXPECT_EQ(loss.targets, std::count_if(batch.targets.begin(), batch.targets.end() - 3,
                                        [](std::int32_t target) { return target >= 0; }));
}

TEST_P(Families, EveryGradientAgreesWithFiniteDifferencesOfTheReference) {
  Decoder decoder(GetParam());
  randomize(decoder);
  decoder.enable_gradients();
  const Batch batch = packed_batch(decoder.config());
  static_cast<void>(decoder.forward_backward(batch, {.scale = 0.5F}));
  const std::vector<double> expected = reference::finite_difference(
      [&](const std::vector<double>& values) {
        return 0.5 * reference::decoder_loss(decoder.config(), values, batch);
      },
      flat_values(decoder));
  std::size_t offset = 0;
  for (const Parameter& parameter : decoder.parameters()) {
    const std::span<const double> part(&expected[offset], parameter.value.size());
    // The differences are good to 1e-9, f32 gradients to some 1e-6.
    EXPECT_LT(reference::relative_error(parameter.gradient, part), 1e-5) << parameter.name;
    offset += parameter.value.size();
  }
}

TEST(Decoder, PaddingContributesNothing) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  decoder.enable_gradients();
  Batch batch = packed_batch(decoder.config());
  const LossSum loss = decoder.forward_backward(batch, {.scale = 1.0F});
  const std::vector<float> gradients = flat_gradients(decoder);
  for (std::size_t i = 25; i < 28; ++i) {
    batch.tokens[i] = 3;
    batch.targets[i] = -1;
  }
  decoder.zero_gradients();
  EXPECT_EQ(decoder.forward_backward(batch, {.scale = 1.0F}).loss, loss.loss);
  EXPECT_EQ(flat_gradients(decoder), gradients);
}

TEST(Decoder, AnyNumberOfThreadsGivesTheSameBits) {
  // The real sizes: this is where a library would choose its split by the number of threads.
  Decoder decoder(preset("tiny", 1024));
  decoder.initialize(3);
  decoder.enable_gradients();
  const Batch batch = plain_batch(decoder.config(), 3, 300, 4);
  std::vector<float> expected;
  double loss = 0.0;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    decoder.zero_gradients();
    const LossSum sum = decoder.forward_backward(batch, {.scale = 1.0F});
    if (count == 1) {
      loss = sum.loss;
      expected = flat_gradients(decoder);
      continue;
    }
    EXPECT_EQ(sum.loss, loss);
    EXPECT_TRUE(flat_gradients(decoder) == expected) << count << " threads";
  }
}

TEST(Decoder, AgreesWithTheReferenceAcrossBlocksOfKeys) {
  // Longer than attention's key block, without a window; one layer keeps the reference quick.
  DecoderConfig config = small_config(false);
  config.layers = 1;
  config.sliding_window.reset();
  config.max_positions = 400;
  Decoder decoder(config);
  randomize(decoder);
  Batch batch = plain_batch(config, 1, 400, 6);
  const double expected = reference::decoder_loss(config, flat_values(decoder), batch);
  EXPECT_NEAR(decoder.forward(batch).loss / expected, 1.0, 2e-6);
}

TEST(Decoder, ScoresAreTheLossTokenByToken) {
  Decoder decoder(small_config(true));
  randomize(decoder);
  const Batch batch = packed_batch(decoder.config());
  const TokenScores scores = decoder.score(batch);
  const auto logits = reference::decoder_logits(decoder.config(), flat_values(decoder), batch);
  double sum = 0.0;
  for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
    if (batch.targets[i] < 0 || batch.documents[i] < 0) {
      EXPECT_EQ(scores.log_prob[i], 0.0F);
      EXPECT_EQ(scores.argmax[i], -1);
      continue;
    }
    sum -= static_cast<double>(scores.log_prob[i]);
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * 23);
    EXPECT_EQ(scores.argmax[i], std::max_element(row, row + 23) - row);
  }
  EXPECT_NEAR(sum, decoder.forward(batch).loss, 1e-5 * sum);
}

TEST(Decoder, LogitsAreTheReferencesAndZeroWherePadded) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  const Batch batch = packed_batch(decoder.config());
  auto expected = reference::decoder_logits(decoder.config(), flat_values(decoder), batch);
  std::fill(expected.end() - 3 * 23, expected.end(), 0.0);  // the second row's last three
  const std::vector<float> logits = decoder.logits(batch);
  // As for the loss: some ten roundings of 6e-8 in a row.
  EXPECT_LT(reference::relative_error(logits, expected), 2e-6);
  EXPECT_EQ(logits.back(), 0.0F);
}

TEST(Decoder, ChunksOfLogitsDoNotShow) {
  // 300000 * 24 tokens exceed one chunk's 4 M logits.
  DecoderConfig config = small_config(true);
  config.vocab_size = 300000;
  config.layers = 1;
  config.hidden_size = 4;
  Decoder decoder(config);
  decoder.initialize(1);
  decoder.enable_gradients();
  const Batch batch = plain_batch(config, 2, 48, 6);
  const LossSum loss = decoder.forward_backward(batch, {.scale = 1.0F});
  EXPECT_EQ(loss.targets, 96);
  // Nearly uniform predictions.
  EXPECT_NEAR(loss.loss / 96.0, std::log(300000.0), 0.01);
  EXPECT_NEAR(decoder.forward(batch).loss / loss.loss, 1.0, 1e-12);
}

TEST(Decoder, LearnsABatchByHeart) {
  Decoder decoder(small_config(false));
  randomize(decoder, 0.1);
  decoder.enable_gradients();
  const Batch batch = packed_batch(decoder.config());
  const double before = decoder.forward(batch).loss;
  for (int step = 0; step < 60; ++step) {
    decoder.zero_gradients();
    static_cast<void>(decoder.forward_backward(batch, {.scale = 1.0F / 17.0F}));
    for (Parameter& parameter : decoder.parameters()) {
      for (std::size_t i = 0; i < parameter.value.size(); ++i) {
        parameter.value[i] -= 0.5F * parameter.gradient[i];
      }
    }
  }
  EXPECT_LT(decoder.forward(batch).loss, 0.5 * before);
}

TEST(Decoder, InitializeDependsOnTheSeedAlone) {
  Decoder a(small_config(false));
  Decoder b(small_config(false));
  a.initialize(1);
  b.initialize(1);
  EXPECT_EQ(flat_values(a), flat_values(b));
  b.initialize(2);
  EXPECT_NE(flat_values(a), flat_values(b));
  const Parameter& norm = a.parameters()[1];
  EXPECT_EQ(norm.name, "model.layers.0.input_layernorm.weight");
  EXPECT_FALSE(norm.decays);
  EXPECT_THAT(norm.value, testing::Each(1.0F));
}

TEST(Decoder, ParametersHaveHuggingFaceNamesAndFillTheirCount) {
  const Decoder decoder(small_config(false));
  std::int64_t count = 0;
  std::vector<std::string> names;
  for (const Parameter& parameter : decoder.parameters()) {
    count += static_cast<std::int64_t>(parameter.value.size());
    names.push_back(parameter.name);
  }
  EXPECT_EQ(count, decoder.config().parameter_count());
  EXPECT_EQ(names.front(), "model.embed_tokens.weight");
  EXPECT_EQ(names[2], "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(names[names.size() - 2], "model.norm.weight");
  EXPECT_EQ(names.back(), "lm_head.weight");
  EXPECT_EQ(Decoder(small_config(true)).parameters().back().name, "model.norm.weight");
}

TEST(Decoder, BatchesThatDoNotFitTheModelAreDataErrors) {
  Decoder decoder(small_config(false));
  const Batch good = packed_batch(decoder.config());
  const auto expect_refused = [&](const char* what, const auto& spoil) {
    Batch batch = good;
    spoil(batch);
    try {
      static_cast<void>(decoder.forward(batch));
      ADD_FAILURE() << what << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData) << what;
    }
  };
  expect_refused("token", [](Batch& batch) { batch.tokens[3] = 23; });
  expect_refused("negative token", [](Batch& batch) { batch.tokens[3] = -1; });
  expect_refused("target", [](Batch& batch) { batch.targets[4] = 23; });
  expect_refused("position", [](Batch& batch) { batch.positions[4] = 64; });
  expect_refused("size", [](Batch& batch) { batch.documents.pop_back(); });
}

TEST(Decoder, ABatchWithoutTargetsIsNoWork) {
  Decoder decoder(small_config(false));
  Batch batch = packed_batch(decoder.config());
  std::fill(batch.targets.begin(), batch.targets.end(), -1);
  EXPECT_EQ(decoder.forward(batch).targets, 0);
  EXPECT_EQ(decoder.forward(batch).loss, 0.0);
}

TEST(Decoder, TooLargeForTheMemoryIsTryAgain) {
  DecoderConfig config = small_config(false);
  config.layers = 4096;
  config.hidden_size = 1 << 14;
  config.intermediate_size = 1 << 16;
  try {
    const Decoder decoder(config);
    FAIL() << "13 TB were given out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
  }
}

}  // namespace
}  // namespace nativo::model
