// The measured step is the trainer's: its settings, its norm, its refusals.
#include "train/step_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "train/micro.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

class StepBenchTest : public micro::TrainTest {
 protected:
  static StepBench bench() {
    StepBench bench{.config = micro::config(), .options = micro::options(), .lora = {}, .steps = 2};
    bench.options.weight_decay = 0.1;
    return bench;
  }
};

TEST_F(StepBenchTest, EveryOptionOfAStepCounts) {
  const StepFigures plain = measure_steps(bench());
  EXPECT_EQ(plain.seconds.size(), 2U);
  EXPECT_EQ(plain.tokens, 2 * 32);
  EXPECT_GT(plain.gradient_norm, 0.0);
  EXPECT_EQ(measure_steps(bench()).loss, plain.loss);
  using Change = std::function<void(TrainOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes = {
      {"lr", [](TrainOptions& of) { of.lr = 2e-2; }},
      {"beta1", [](TrainOptions& of) { of.beta1 = 0.5; }},
      {"beta2", [](TrainOptions& of) { of.beta2 = 0.5; }},
      {"eps", [](TrainOptions& of) { of.eps = 1e-2; }},
      {"weight_decay", [](TrainOptions& of) { of.weight_decay = 0.9; }},
      {"no_decay", [](TrainOptions& of) { of.no_decay = {"embed"}; }},
      {"clip_norm", [](TrainOptions& of) { of.clip_norm = 1e-6; }},
      {"optimizer_state", [](TrainOptions& of) { of.optimizer_state = "int8"; }},
      {"z_loss", [](TrainOptions& of) { of.z_loss = 0.1; }},
      {"label_smoothing", [](TrainOptions& of) { of.label_smoothing = 0.2; }},
      {"neftune_alpha", [](TrainOptions& of) { of.neftune_alpha = 5.0; }}};
  for (const auto& [name, change] : changes) {
    StepBench changed = bench();
    change(changed.options);
    EXPECT_NE(measure_steps(changed).loss, plain.loss) << name;
  }
}

TEST_F(StepBenchTest, TheOptimizerInTheBackwardPassHasTheSameLossAndNorm) {
  StepBench apart = bench();
  apart.options.clip_norm = 0.0;
  StepBench inside = apart;
  inside.options.optimizer_in_backward = true;
  const StepFigures expected = measure_steps(apart);
  const StepFigures figures = measure_steps(inside);
  EXPECT_EQ(figures.loss, expected.loss);
  EXPECT_EQ(figures.gradient_norm, expected.gradient_norm);
}

TEST_F(StepBenchTest, ALossThatIsNotFiniteIsAnError) {
  StepBench bench = StepBenchTest::bench();
  bench.options.lr = 1e38;
  try {
    static_cast<void>(measure_steps(bench));
    FAIL() << "weights of 1e38";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), testing::HasSubstr("step 2 of the measurement: the loss is not"));
    EXPECT_THAT(error.hint(), testing::HasSubstr("train.lr"));
  }
}

TEST_F(StepBenchTest, OptionsThatExcludeEachOtherAreRefused) {
  StepBench bench = StepBenchTest::bench();
  bench.options.optimizer_in_backward = true;  // beside train.clip_norm
  EXPECT_THROW(static_cast<void>(measure_steps(bench)), Error);
}

TEST(AdamWSettings, AreAllOfTheOptions) {
  TrainOptions options;
  options.beta1 = 0.1;
  options.beta2 = 0.2;
  options.eps = 0.3;
  options.weight_decay = 0.4;
  options.no_decay = {"norm"};
  options.clip_norm = 0.5;
  options.optimizer_state = "bf16";
  options.seed = 6;
  options.device = "cuda";
  options.offload = {"optimizer"};
  const AdamWSettings settings = adamw_settings(options);
  EXPECT_EQ(settings.beta1, 0.1);
  EXPECT_EQ(settings.beta2, 0.2);
  EXPECT_EQ(settings.eps, 0.3);
  EXPECT_EQ(settings.weight_decay, 0.4);
  EXPECT_EQ(settings.no_decay, std::vector<std::string>{"norm"});
  EXPECT_EQ(settings.clip_norm, 0.5);
  EXPECT_EQ(settings.state, StateType::kBf16);
  EXPECT_EQ(settings.seed, 6U);
  EXPECT_TRUE(settings.offload);
}

}  // namespace
}  // namespace nativo::train
