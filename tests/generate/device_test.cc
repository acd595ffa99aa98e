// A model on a GPU says what it says on the CPU. On machines without a GPU the kernels run on an
// emulated one (tests/cuda/emulation).
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"
#include "generate/device_options.h"
#include "generate/fake_language_model.h"
#include "generate/local_model.h"
#include "tensor/device_memory.h"

namespace nativo::generate {
namespace {

std::unique_ptr<LocalModel> model_on(const model::Numbers& numbers) {
  text::Tokenizer tokenizer = test_tokenizer();
  model::DecoderConfig config;
  config.vocab_size = tokenizer.vocab_size();
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 8;
  config.max_positions = 64;
  config.sliding_window = 12;
  model::Decoder decoder(config, {}, {}, numbers);
  std::uint64_t stream = 0;
  decoder.load([&](const model::Parameter& parameter, std::span<float> values) {
    Rng rng(4, stream++);
    for (float& value : values) {
      value = parameter.decays ? static_cast<float>(0.25 * rng.normal()) : 1.0F;
    }
  });
  return std::make_unique<LocalModel>(std::move(decoder), std::move(tokenizer));
}

std::vector<TokenId> random_tokens(std::uint64_t stream, std::size_t count) {
  Rng rng(11, stream);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(rng.below(600));
  return ids;
}

std::vector<std::string> precisions() {
  return tensor::gpu_count() == 0 ? std::vector<std::string>()
                                  : std::vector<std::string>{"f32", "bf16"};
}

class ModelOnGpu : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ModelOnGpu);
INSTANTIATE_TEST_SUITE_P(Devices, ModelOnGpu, testing::ValuesIn(precisions()),
                         [](const auto& test) { return "gpu_" + test.param; });

TEST_P(ModelOnGpu, ScoresAsOnTheCpu) {
  const DeviceOptions device{.device = "cuda", .precision = GetParam()};
  const auto here = model_on({});
  const auto there = model_on(device.numbers());
  std::vector<ScoreRequest> requests;
  for (std::uint64_t i = 0; i < 6; ++i) {
    requests.push_back({random_tokens(2 * i, 1 + 7 * i), random_tokens(2 * i + 1, 1 + i)});
  }
  const std::vector<Score> expected = here->score(requests);
  const std::vector<Score> scores = there->score(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_EQ(scores[i].token_log_probs.size(), expected[i].token_log_probs.size());
    for (std::size_t t = 0; t < scores[i].token_log_probs.size(); ++t) {
      EXPECT_NEAR(scores[i].token_log_probs[t], expected[i].token_log_probs[t],
                  GetParam() == "f32" ? 1e-4 : 0.1);
    }
  }
}

TEST_P(ModelOnGpu, WhatGreedyDecodingSaysIsWhatScoringCallsGreedy) {
  const DeviceOptions device{.device = "cuda", .precision = GetParam()};
  const auto model = model_on(device.numbers());
  const std::vector<TokenId> prompt = random_tokens(9, 14);
  SamplerOptions options;
  options.temperature = 0.0;
  options.max_tokens = 12;
  const Generation said = model->generate(prompt, options, {});
  ASSERT_GE(said.tokens.size(), 3U);
  if (GetParam() == "f32") {
    EXPECT_EQ(said.tokens, model_on({})->generate(prompt, options, {}).tokens);
  }
  // In bf16 another order of sums may change the places of two tokens that are about as probable.
  const ScoreRequest request{prompt, said.tokens};
  const Score score = model->score(std::span(&request, 1))[0];
  EXPECT_TRUE(score.greedy || GetParam() == "bf16");
  for (std::size_t t = 0; t < said.tokens.size(); ++t) {
    if (t % 4 != 0) continue;  // each takes a while on an emulated device
    std::vector<ScoreRequest> others;
    std::vector<TokenId> before = prompt;
    before.insert(before.end(), said.tokens.begin(),
                  said.tokens.begin() + static_cast<std::ptrdiff_t>(t));
    for (TokenId id = 0; id < 600; id += 7) others.push_back({before, {id}});
    for (const Score& other : model->score(others)) {
      EXPECT_LE(other.log_prob, static_cast<double>(score.token_log_probs[t]) + 0.1);
    }
  }
}

TEST(DeviceOptions, AreChecked) {
  EXPECT_EQ(DeviceOptions{}.numbers(), model::Numbers{});
  EXPECT_TRUE((DeviceOptions{.device = "cuda:1"}.numbers().device == tensor::Device::cuda(1)));
  for (const DeviceOptions& wrong :
       {DeviceOptions{.device = "gpu"}, DeviceOptions{.device = "cpu", .precision = "bf16"},
        DeviceOptions{.device = "cuda", .precision = "fp4"}}) {
    try {
      static_cast<void>(wrong.numbers("eval."));
      ADD_FAILURE() << wrong.device;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_NE(std::string(error.what()).find("eval."), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace nativo::generate
