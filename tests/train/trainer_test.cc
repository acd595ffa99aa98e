#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "config/config_file.h"
#include "train/data_parallel.h"
#include "train/micro.h"
#include "train/optimizer.h"
#include "train/packer.h"

namespace nativo::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using TrainerTest = micro::TrainTest;

TEST_F(TrainerTest, OverfittingLearnsTheData) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  input.heldout = input.train;
  input.options.epochs = 40;
  input.options.eval_every = 0;
  input.options.checkpoint_every = 0;
  const TrainResult result = train(input);
  EXPECT_NEAR(result.first_loss, std::log(32.0), 0.1);  // an untrained model knows nothing
  EXPECT_NEAR(*result.first_eval_loss, std::log(32.0), 0.1);
  // The stride shows after two tokens and the untrained third holds them: nearly all is
  // predictable.
  EXPECT_LT(*result.eval_loss, 0.3);
  EXPECT_LT(result.loss, 0.3);
  EXPECT_EQ(micro::metrics(root_).size(), static_cast<std::size_t>(result.steps) + 1);
}

TEST_F(TrainerTest, OneMicroBatchOfEightEqualsEightOfOne) {
  std::vector<std::vector<float>> weights;
  std::vector<double> losses;
  for (const std::int64_t micro_batch : {8, 1, 3}) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, root_ / std::to_string(micro_batch));
    input.train = micro::examples(120, 1);
    input.options.micro_batch = micro_batch;
    input.options.batch_tokens = 8 * input.options.seq_len;
    input.options.max_steps = 1;
    input.options.lr = 1e-3;
    input.options.eps = 1e-3;  // a small eps turns rounding of near-zero gradients into whole steps
    losses.push_back(train(input).loss);
    std::vector<float>& all = weights.emplace_back();
    for (const model::Parameter& parameter : decoder.parameters()) {
      all.insert(all.end(), parameter.value.begin(), parameter.value.end());
    }
  }
  for (std::size_t other = 1; other < weights.size(); ++other) {
    EXPECT_NEAR(losses[other], losses[0], 1e-6);
    float largest = 0.0f;
    for (std::size_t i = 0; i < weights[0].size(); ++i) {
      largest = std::max(largest, std::abs(weights[other][i] - weights[0][i]));
    }
    // The update is at most lr = 1e-3 a weight; only the order of f32 sums differs (1e-7 relative).
    EXPECT_LT(largest, 2e-6f);
  }
}

TEST_F(TrainerTest, TheOptimizerInTheBackwardPassChangesNoBit) {
  for (const bool tied : {false, true}) {
    std::vector<std::vector<std::string>> told;
    std::vector<std::string> saved;
    for (const bool in_backward : {false, true}) {
      model::DecoderConfig config = micro::config();
      config.tie_embeddings = tied;
      model::Decoder decoder(config);
      decoder.initialize(5);
      const auto folder = root_ / (tied ? "tied" : "apart") / (in_backward ? "in" : "after");
      TrainInput input = micro::input(decoder, folder);
      input.options.micro_batch = 3;
      input.options.clip_norm = 0.0;
      input.options.max_steps = 7;
      input.options.optimizer_in_backward = in_backward;
      static_cast<void>(train(input));
      told.push_back(micro::metrics(folder));  // the gradient's norm is in there
      saved.push_back(micro::checkpoint_bytes(folder, 7));
    }
    EXPECT_EQ(told[0], told[1]);
    EXPECT_TRUE(saved[0] == saved[1]);
  }
}

TEST_F(TrainerTest, TheOptimizerInTheBackwardPassExcludesWhatComesTooLate) {
  using Change = void (*)(TrainOptions&);
  for (const Change change : {Change([](TrainOptions& of) { of.clip_norm = 1.0; }),
                              Change([](TrainOptions& of) { of.on_spike = "skip"; }),
                              Change([](TrainOptions& of) { of.micro_batch = 2; }),
                              Change([](TrainOptions& of) { of.method = "lora"; })}) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, root_);
    input.options.micro_batch = 3;
    input.options.clip_norm = 0.0;
    input.options.optimizer_in_backward = true;
    change(input.options);
    try {
      static_cast<void>(train(input));
      ADD_FAILURE() << "trained";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_NE(std::string(error.what()).find("train.optimizer_in_backward"), std::string::npos);
    }
  }
}

TEST_F(TrainerTest, PackedTrainsLikeUnpacked) {
  // The same eight examples in one step, packed into full rows and one a row: the same mean loss.
  std::vector<Example> examples = micro::examples(8, 4);
  std::vector<double> losses;
  for (const std::int64_t seq_len : {64, 33}) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, root_ / std::to_string(seq_len));
    input.train = examples;
    input.heldout.clear();
    input.options.seq_len = seq_len;
    input.options.batch_tokens = 64 * 64;
    input.options.epochs = 1;
    const TrainResult result = train(input);
    EXPECT_EQ(result.steps, 1);
    losses.push_back(result.loss);
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-6);
}

TEST_F(TrainerTest, WhatIsOptimisedFollowsTheOptions) {
  std::vector<TrainResult> results;
  for (double TrainOptions::*addition :
       {static_cast<double TrainOptions::*>(nullptr), &TrainOptions::z_loss,
        &TrainOptions::label_smoothing, &TrainOptions::neftune_alpha}) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, root_ / std::to_string(results.size()));
    input.options.max_steps = 4;
    if (addition != nullptr) input.options.*addition = 0.5;
    results.push_back(train(input));
  }
  for (std::size_t i = 1; i < results.size(); ++i) {
    EXPECT_NE(results[i].loss, results[0].loss) << i;
    // The curve shows the plain loss; only noise on the embeddings changes the first step's.
    EXPECT_EQ(results[i].first_loss == results[0].first_loss, i < 3) << i;
  }
}

TEST_F(TrainerTest, MetricsHoldWhatTheStepDid) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  input.options.max_steps = 6;
  const TrainResult result = train(input);
  const std::vector<std::string> lines = micro::metrics(root_);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_THAT(lines[0], HasSubstr("eval_loss"));
  std::int64_t tokens = 0;
  for (int step = 1; step <= 6; ++step) {
    const Json line = parse_json(lines[static_cast<std::size_t>(step)], "metrics");
    EXPECT_EQ(line["step"], step);
    EXPECT_GT(line["loss"].get<double>(), 0.0);
    EXPECT_GT(line["grad_norm"].get<double>(), 0.0);
    EXPECT_GT(line["tokens"].get<std::int64_t>(), tokens);
    EXPECT_LE(line["tokens"].get<std::int64_t>(), tokens + 96);
    tokens = line["tokens"].get<std::int64_t>();
    EXPECT_EQ(line.contains("eval_loss"), step == 4 || step == 6);
  }
  EXPECT_EQ(tokens, result.tokens);
  const Json last = parse_json(lines[6], "metrics");
  EXPECT_DOUBLE_EQ(last["lr"].get<double>(), 1e-3);  // min_lr_ratio 0.1 of 1e-2
  EXPECT_EQ(last["eval_loss"].get<double>(), *result.eval_loss);
  EXPECT_EQ(*result.eval_loss,
            *heldout_loss(decoder, input.heldout, 32, input.options.micro_batch).mean);
}

TEST_F(TrainerTest, EvaluationDoesNotDependOnTheMicroBatch) {
  model::Decoder decoder = micro::decoder();
  const auto examples = micro::examples(30, 3);
  const double one = *heldout_loss(decoder, examples, 48, 1).mean;
  EXPECT_NEAR(*heldout_loss(decoder, examples, 48, 4).mean, one, 1e-6);
  EXPECT_FALSE(heldout_loss(decoder, {}, 48, 4).mean.has_value());
}

TEST_F(TrainerTest, ALossThatIsNotFiniteNamesStepAndExamplesAndChangesNothing) {
  model::Decoder decoder = micro::decoder();
  decoder.parameters()[1].value[0] = std::numeric_limits<float>::quiet_NaN();
  const float before = decoder.parameters()[2].value[0];
  try {
    train(micro::input(decoder, root_));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("step 1: the loss is nan"), HasSubstr("example-1-")));
  }
  EXPECT_EQ(decoder.parameters()[2].value[0], before);
}

TEST_F(TrainerTest, RefusesWhatCannotBeTrained) {
  model::Decoder decoder = micro::decoder();
  const auto failure = [&](const auto& change) {
    TrainInput input = micro::input(decoder, root_);
    change(input);
    try {
      train(input);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("trained");
  };
  EXPECT_THAT(failure([](TrainInput& input) { input.options.batch_tokens = 31; }),
              HasSubstr("train.batch_tokens = 31"));
  EXPECT_THAT(failure([](TrainInput& input) {
                input.options.seq_len = 65;
                input.options.batch_tokens = 65;
              }),
              HasSubstr("64 positions"));
  EXPECT_THAT(failure([](TrainInput& input) { input.options.schedule = "square"; }),
              HasSubstr("square"));
  EXPECT_THAT(failure([](TrainInput& input) { input.train.clear(); }),
              HasSubstr("nothing to train on"));
  EXPECT_THAT(failure([](TrainInput& input) { input.train[3].tokens[1] = 32; }),
              HasSubstr("outside the vocabulary"));
}

TEST(TrainOptions, AreDeclaredForTheConfigFile) {
  TrainOptions options;
  options.lr = 2e-5;
  const std::string toml = config::to_toml(options);
  EXPECT_THAT(toml, AllOf(HasSubstr("lr = 2e-05"), HasSubstr("schedule = \"cosine\"")));
}

std::vector<float> f32_state(const StateTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  model::decode_values(tensor.type, tensor.bytes, values);
  return values;
}

TEST(OptimizerTest, ClipsTheWholeGradientAndSparesTheNorms) {
  // One step of two runs: gradient as it is with clipping to half its norm, and half the gradient.
  // Adam's first step hides the scale, so the moments are compared.
  model::Decoder decoder = micro::decoder();
  decoder.enable_gradients();
  const auto examples = micro::examples(10, 1);
  const Packing packing = pack(examples, 32, 32, 1);
  const Row* const rows[] = {&packing.rows[0]};
  decoder.forward_backward(make_batch(examples, rows, 32), {.scale = 1.0f});
  // eps next to nothing: the update does not depend on the gradient's scale, only the decay
  // differs.
  Optimizer plain(decoder.parameters(), {.eps = 1e-16});
  const double norm = DataParallel(nullptr, decoder, 0).gradient_norm();
  double sum = 0.0;
  for (const model::Parameter& parameter : decoder.parameters()) {
    for (const float value : parameter.gradient) sum += double{value} * value;
  }
  EXPECT_NEAR(norm, std::sqrt(sum), 1e-9 * norm);

  model::Decoder same = micro::decoder();
  same.enable_gradients();
  for (std::size_t i = 0; i < same.parameters().size(); ++i) {
    std::ranges::copy(decoder.parameters()[i].gradient, same.parameters()[i].gradient.begin());
  }
  Optimizer clipped(same.parameters(), {.eps = 1e-16, .weight_decay = 0.5, .clip_norm = norm / 2});
  plain.update(decoder.parameters(), 1, 1e-3, norm);
  clipped.update(same.parameters(), 1, 1e-3, norm);
  int compared = 0;
  for (std::size_t t = 0; t < plain.state().size(); ++t) {
    if (!plain.state()[t].name.starts_with("first.")) continue;
    const std::vector<float> full = f32_state(plain.state()[t]);
    const std::vector<float> half = f32_state(clipped.state()[t]);
    for (std::size_t i = 0; i < full.size(); ++i) {
      EXPECT_NEAR(half[i], full[i] / 2, 1e-6f * std::abs(full[i]));
      compared += full[i] != 0.0f ? 1 : 0;
    }
  }
  EXPECT_GT(compared, 1000);
  // Decay pulls matrices to zero by lr * decay * w; norm weights (ones) get the plain update.
  const model::Decoder before = micro::decoder();
  for (std::size_t p = 0; p < same.parameters().size(); ++p) {
    const model::Parameter& with = same.parameters()[p];
    const model::Parameter& without = decoder.parameters()[p];
    for (std::size_t i = 0; i < with.value.size(); i += 5) {
      const double pulled =
          with.decays ? 1e-3 * 0.5 * double{before.parameters()[p].value[i]} : 0.0;
      // f32 weights of up to 1: 1.2e-7 a rounding.
      EXPECT_NEAR(double{without.value[i]} - with.value[i], pulled, 3e-7) << with.name;
    }
  }
}

TEST(OptimizerTest, NamedParametersDoNotDecay) {
  model::Decoder decoder = micro::decoder();
  decoder.enable_gradients();  // of 0: the decay is all that moves
  const model::Decoder before = micro::decoder();
  Optimizer optimizer(std::as_const(decoder).parameters(),
                      {.weight_decay = 0.5, .no_decay = {"embed_tokens", "layers.1.mlp"}});
  optimizer.update(decoder.parameters(), 1, 1e-1, 0.0);
  int still = 0;
  for (std::size_t p = 0; p < decoder.parameters().size(); ++p) {
    const model::Parameter& now = decoder.parameters()[p];
    const bool moved = now.value[0] != before.parameters()[p].value[0];
    const bool named = now.name.find("embed_tokens") != std::string::npos ||
                       now.name.find("layers.1.mlp") != std::string::npos;
    EXPECT_EQ(moved, now.decays && !named) << now.name;
    still += named ? 1 : 0;
  }
  EXPECT_EQ(still, 4);
  try {
    Optimizer(std::as_const(decoder).parameters(), {.no_decay = {"embed_tokns"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("embed_tokns"));
  }
}

}  // namespace
}  // namespace nativo::train
