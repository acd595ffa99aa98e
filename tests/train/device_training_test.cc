// Training on a GPU against training on the CPU. On machines without a GPU the kernels run on an
// emulated one (tests/cuda/emulation).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "model/model_size.h"
#include "tensor/device_memory.h"
#include "train/gpu_memory.h"
#include "train/micro.h"
#include "train/optimizer.h"
#include "train/slow_disk.h"
#include "train/step_bench.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

const model::Numbers kF32{tensor::DType::kF32, tensor::Device::cuda(0)};
const model::Numbers kBf16{tensor::DType::kBf16, tensor::Device::cuda(0)};

std::vector<model::Numbers> on_gpu() {
  if (tensor::gpu_count() == 0) return {};
  return {kF32, kBf16};
}

model::Decoder decoder_on(const model::Numbers& numbers) {
  model::Decoder decoder(micro::config(), {}, {}, numbers);
  decoder.initialize(5);
  return decoder;
}

std::vector<float> trained_weights(const model::Decoder& decoder) {
  std::vector<float> all;
  for (const model::Parameter& parameter : decoder.trainable()) {
    std::vector<float> values(parameter.elements());
    tensor::read(parameter.stored, values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

class DeviceTraining : public micro::TrainTest, public testing::WithParamInterface<model::Numbers> {
 protected:
  [[nodiscard]] bool is_bf16() const { return GetParam().type == tensor::DType::kBf16; }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceTraining);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceTraining, testing::ValuesIn(on_gpu()),
                         [](const auto& test) {
                           return test.param.type == tensor::DType::kBf16 ? "gpu_bf16" : "gpu_f32";
                         });

TEST_P(DeviceTraining, TheLossFallsAsOnTheCpu) {
  std::vector<std::vector<double>> curves;
  for (const model::Numbers& numbers : {model::Numbers{}, GetParam()}) {
    model::Decoder decoder = decoder_on(numbers);
    const auto folder = root_ / (numbers.device.is_cuda() ? "gpu" : "cpu");
    TrainInput input = micro::input(decoder, folder);
    input.options.max_steps = 12;
    input.options.checkpoint_every = 0;
    const TrainResult result = train(input);
    EXPECT_LT(result.loss, result.first_loss);
    std::vector<double>& curve = curves.emplace_back();
    for (const std::string& line : micro::metrics(folder)) {
      const Json json = parse_json(line, "metrics");
      if (json.contains("loss")) curve.push_back(json.at("loss").get<double>());
    }
  }
  ASSERT_EQ(curves[0].size(), curves[1].size());
  for (std::size_t i = 0; i < curves[0].size(); ++i) {
    EXPECT_NEAR(curves[1][i] / curves[0][i], 1.0, is_bf16() ? 0.03 : 2e-4) << "step " << i + 1;
  }
}

TEST_P(DeviceTraining, TheLossFallsInFp8) {
  if (!is_bf16()) GTEST_SKIP() << "FP8 goes with bf16";
  std::vector<double> losses;
  model::Numbers fp8 = GetParam();
  fp8.fp8 = true;
  for (const model::Numbers& numbers : {model::Numbers{}, fp8}) {
    model::Decoder decoder = decoder_on(numbers);
    TrainInput input = micro::input(decoder, root_ / (numbers.fp8 ? "fp8" : "cpu"));
    input.options.max_steps = 12;
    const TrainResult result = train(input);
    EXPECT_LT(result.loss, result.first_loss);
    losses.push_back(result.loss);
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_NEAR(losses[1] / losses[0], 1.0, 0.06);
}

TEST_P(DeviceTraining, StoppedAndResumedIsBitIdentical) {
  for (const char* state : {"f32", "bf16", "int8"}) {
    model::Decoder whole = decoder_on(GetParam());
    TrainInput input = micro::input(whole, root_ / state / "whole");
    input.options.max_steps = 6;
    input.options.checkpoint_every = 3;
    input.options.eval_every = 0;
    input.options.optimizer_state = state;
    static_cast<void>(train(input));

    int asked = 0;
    model::Decoder first = decoder_on(GetParam());
    TrainInput stopped = micro::input(first, root_ / state / "stopped");
    stopped.options = input.options;
    stopped.should_stop = [&] { return ++asked > 8; };
    EXPECT_THROW(static_cast<void>(train(stopped)), Error);
    model::Decoder second = decoder_on(GetParam());
    TrainInput resumed = micro::input(second, root_ / state / "stopped");
    resumed.options = input.options;
    EXPECT_GT(train(resumed).resumed_from, 0);
    EXPECT_EQ(trained_weights(second), trained_weights(whole)) << state;
  }
}

// What waits on the host, and updates inside the backward pass, change nothing but memory; a run
// may go on without them.
TEST_P(DeviceTraining, OffloadingChangesNoBit) {
  for (const char* state : {"f32", "bf16", "int8"}) {
    TrainOptions options = micro::options();
    options.device = "cuda";
    options.precision = is_bf16() ? "bf16" : "f32";
    options.optimizer_state = state;
    options.recompute = "block";
    options.micro_batch = 3;
    options.clip_norm = 0.0;
    options.max_steps = 6;
    options.checkpoint_every = 3;
    model::Decoder plain = decoder_on(GetParam());
    TrainInput input = micro::input(plain, root_ / state / "plain");
    input.options = options;
    const TrainResult expected = train(input);

    model::Decoder offloaded = decoder_on(GetParam());
    TrainInput other = micro::input(offloaded, root_ / state / "offloaded");
    other.options = options;
    other.options.offload = {"optimizer", "activations"};
    other.options.optimizer_in_backward = true;
    int asked = 0;
    other.should_stop = [&] { return ++asked > 4; };
    EXPECT_THROW(static_cast<void>(train(other)), Error);
    other.should_stop = {};
    EXPECT_GT(train(other).resumed_from, 0);
    EXPECT_EQ(trained_weights(offloaded), trained_weights(plain)) << state;
    EXPECT_EQ(micro::checkpoint_bytes(other.dir, 6), micro::checkpoint_bytes(input.dir, 6));
    EXPECT_GT(expected.loss, 0.0);
  }
}

TEST_P(DeviceTraining, StepsAreMeasuredAgainstTheirPlan) {
  StepBench bench{.config = micro::config(), .options = micro::options(), .lora = {}, .steps = 1};
  bench.numbers = GetParam();
  bench.config.vocab_size = 2048;
  bench.config.hidden_size = 64;
  bench.options.device = "cuda";
  bench.options.precision = is_bf16() ? "bf16" : "f32";
  bench.options.recompute = "block";
  bench.options.clip_norm = 0.0;
  for (const bool offloads : {false, true}) {
    bench.options.optimizer_in_backward = offloads;
    if (offloads) bench.options.offload = {"optimizer", "activations"};
    const StepFigures figures = measure_steps(bench);
    const auto reserved = static_cast<double>(figures.memory.total() + figures.optimizer_state);
    EXPECT_NEAR(reserved / static_cast<double>(figures.planned), 1.0, 0.01);
    EXPECT_EQ(figures.host > 0, offloads);
  }
}

// The disk is so slow that checkpoints are copied by the updates that follow them: weights from the
// GPU, moments from where they wait for it.
TEST_P(DeviceTraining, CheckpointsInTheBackgroundAreOfTheirStep) {
  micro::SlowDisk slow;
  for (const char* state : {"f32", "bf16", "int8"}) {
    std::string bytes[2];
    for (const bool background : {false, true}) {
      model::Decoder decoder = decoder_on(GetParam());
      const auto folder = root_ / state / (background ? "background" : "waiting");
      TrainInput input = micro::input(decoder, folder,
                                      background ? static_cast<io::Disk&>(slow) : io::quick_disk());
      input.options.max_steps = 4;
      input.options.checkpoint_every = 1;
      input.options.eval_every = 0;
      input.options.keep = 100;
      input.options.optimizer_state = state;
      input.options.background_checkpoints = background;
      input.options.device = "cuda";
      input.options.precision = is_bf16() ? "bf16" : "f32";
      if (background) input.options.offload = {"optimizer"};
      static_cast<void>(train(input));
      for (std::int64_t step = 1; step <= 4; ++step) {
        bytes[background ? 1 : 0] += micro::checkpoint_bytes(folder, step);
      }
    }
    EXPECT_TRUE(bytes[0] == bytes[1]) << state;
  }
}

TEST_P(DeviceTraining, ThePlanIsWhatIsReserved) {
  model::Decoder decoder = decoder_on(GetParam());
  TrainInput input = micro::input(decoder, root_);
  input.options.max_steps = 2;
  input.options.device = "cuda";
  input.options.precision = is_bf16() ? "bf16" : "f32";
  static_cast<void>(train(input));
  EXPECT_EQ(gpu_memory(micro::config(), input.options, {}).decoder, decoder.memory());
}

// Planned, not run: 6 bytes a parameter for weights, gradients and moments, and the batch.
TEST(TrainingDevice, SevenBillionParametersFitOneGpu) {
  TrainOptions options;
  options.device = "cuda";
  options.optimizer_state = "int8";
  options.recompute = "block";
  options.seq_len = 2048;
  options.micro_batch = 8;
  options.batch_tokens = 16384;
  const model::DecoderConfig config = model::model_size("7b").config;
  const auto parameters = static_cast<double>(config.parameter_count());
  const auto total = static_cast<double>(gpu_memory(config, options, {}).total());
  EXPECT_GT(total, 6.0 * parameters);
  EXPECT_LT(total, 64e9);
}

TEST(TrainingDevice, SevenBillionParametersFitASmallGpuWithTheHostsHelp) {
  TrainOptions options;
  options.device = "cuda";
  options.optimizer_state = "int8";
  options.recompute = "block";
  options.seq_len = 2048;
  options.micro_batch = 4;
  options.batch_tokens = 8192;
  options.clip_norm = 0.0;
  options.optimizer_in_backward = true;
  options.offload = {"optimizer", "activations"};
  const model::DecoderConfig config = model::model_size("7b").config;
  const GpuMemory memory = gpu_memory(config, options, {});
  EXPECT_LT(static_cast<double>(memory.total()), 24e9);
  EXPECT_GT(static_cast<double>(memory.pinned), 2.0 * static_cast<double>(config.parameter_count()));
}

TEST(TrainingDevice, WhatCannotBeOffloadedIsRefused) {
  TrainOptions options = micro::options();
  options.offload = {"optimizer"};
  EXPECT_THROW(static_cast<void>(offload_of(options)), Error);  // on the CPU
  options.device = "cuda";
  EXPECT_TRUE(offload_of(options).optimizer);
  options.offload = {"activations"};
  EXPECT_THROW(static_cast<void>(offload_of(options)), Error);  // recompute = norms
  options.recompute = "block";
  EXPECT_TRUE(offload_of(options).activations);
  options.offload = {"weights"};
  EXPECT_THROW(static_cast<void>(offload_of(options)), Error);
}

TEST(TrainingDevice, OptionsAreChecked) {
  TrainOptions options;
  EXPECT_EQ(numbers_of(options), model::Numbers{});
  options.device = "cuda";
  EXPECT_EQ(numbers_of(options), kBf16);
  options.precision = "f32";
  EXPECT_EQ(numbers_of(options), kF32);
  options.precision = "fp8";
  EXPECT_TRUE(numbers_of(options).fp8);
  EXPECT_EQ(numbers_of(options).type, tensor::DType::kBf16);
  options.device = "cpu";
  EXPECT_THROW(static_cast<void>(numbers_of(options)), Error);
  options.precision = "bf16";
  EXPECT_THROW(static_cast<void>(numbers_of(options)), Error);
  options.device = "tpu";
  EXPECT_THROW(static_cast<void>(numbers_of(options)), Error);
}

}  // namespace
}  // namespace nativo::train
