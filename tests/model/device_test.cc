// The decoder on a GPU against the decoder on the CPU, in f32, where only the order of sums
// differs, and in bf16. On machines without a GPU the kernels run on an emulated one
// (tests/cuda/emulation).
#include <gtest/gtest.h>

#include <algorithm>

#include "model/decode_session.h"
#include "model/decoder_fixture.h"
#include "model/golden.h"
#include "model/hf_directory.h"
#include "model/memory_plan.h"
#include "tensor/device_memory.h"

namespace nativo::model {
namespace {

constexpr Numbers kOnCpu{};
const Numbers kF32OnGpu{tensor::DType::kF32, tensor::Device::cuda(0)};
const Numbers kBf16OnGpu{tensor::DType::kBf16, tensor::Device::cuda(0)};

/// What a model of a few layers makes of roundings to 24 bits, or to 8.
struct Bounds {
  double logits;
  double loss;
  double gradient;
};
Bounds bounds(const Numbers& numbers) {
  return numbers.type == tensor::DType::kBf16 ? Bounds{3e-2, 1e-2, 6e-2} : Bounds{4e-6, 4e-6, 2e-5};
}

std::vector<Numbers> on_gpu() {
  if (tensor::gpu_count() == 0) return {};
  return {kF32OnGpu, kBf16OnGpu};
}

std::string name_of(const Numbers& numbers) {
  return numbers.type == tensor::DType::kBf16 ? "gpu_bf16" : "gpu_f32";
}

std::vector<float> to_host(const tensor::AnyView& view) {
  std::vector<float> values(tensor::elements(view));
  tensor::read(view, values);
  return values;
}

std::vector<float> gradients(const Decoder& decoder) {
  std::vector<float> flat;
  for (const Parameter& parameter : decoder.trainable()) {
    const std::vector<float> values = to_host(parameter.stored_gradient);
    EXPECT_EQ(values.size(), parameter.elements()) << parameter.name;
    flat.insert(flat.end(), values.begin(), values.end());
  }
  return flat;
}

/// A decoder of `config` with the weights of `like`, which is the CPU's.
Decoder copy_of(const Decoder& like, const Numbers& numbers,
                const Quantization& quantization = {}) {
  Decoder decoder(like.config(), quantization, {}, numbers);
  decoder.load([&](const Parameter& parameter, std::span<float> values) {
    const auto found = std::ranges::find(like.parameters(), parameter.name, &Parameter::name);
    std::ranges::copy(found->value, values.begin());
  });
  return decoder;
}

class OnGpu : public testing::TestWithParam<Numbers> {
 protected:
  [[nodiscard]] const Numbers& numbers() const { return GetParam(); }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OnGpu);
INSTANTIATE_TEST_SUITE_P(Devices, OnGpu, testing::ValuesIn(on_gpu()),
                         [](const auto& test) { return name_of(test.param); });

/// All that a decoder says of `batch`, here and there.
void expect_the_same(Decoder& here, Decoder& there, const Batch& batch, const std::string& name) {
  const Bounds most = bounds(there.numbers());
  EXPECT_LT(reference::relative_error(there.logits(batch), here.logits(batch)), most.logits)
      << name;
  const LossSum ours = there.forward(batch);
  const LossSum theirs = here.forward(batch);
  EXPECT_EQ(ours.targets, theirs.targets) << name;
  EXPECT_NEAR(ours.loss / theirs.loss, 1.0, most.loss) << name;
  here.enable_gradients();
  there.enable_gradients();
  const StepOptions options{
      .scale = 1.0F / static_cast<float>(std::max<std::int64_t>(1, theirs.targets)),
      .z_loss = 1e-3,
      .label_smoothing = 0.1};
  const LossSum optimised = there.forward_backward(batch, options);
  EXPECT_NEAR(optimised.objective / here.forward_backward(batch, options).objective, 1.0, most.loss)
      << name;
  const std::vector<float> gradient = gradients(there);
  EXPECT_LT(reference::relative_error(gradient, gradients(here)), most.gradient) << name;
  there.zero_gradients();
  static_cast<void>(there.forward_backward(batch, options));
  EXPECT_EQ(gradients(there), gradient) << name << ": the same step, other bits";
}

TEST_P(OnGpu, EveryFamilyIsTheCpus) {
  for (const DecoderConfig& config : family_configs()) {
    Decoder here(config);
    randomize(here, 0.2);
    Decoder there = copy_of(here, numbers());
    expect_the_same(here, there, packed_batch(config), std::string(family_name(config.family)));
  }
}

TEST_P(OnGpu, PublishedShapesAreTheCpus) {
  for (const char* name : kTransformersCases) {
    const auto folder = golden_folder() / "transformers" / name;
    const Batch batch = golden_batch(read_golden_json(folder / "batch.json"));
    Decoder here = load_decoder(folder);
    Decoder there = load_decoder(folder, {}, {}, numbers());
    expect_the_same(here, there, batch, name);
  }
}

TEST_P(OnGpu, ScoresAndGreedyTokens) {
  Decoder here(small_config(false));
  randomize(here, 0.2);
  Decoder there = copy_of(here, numbers());
  const Batch batch = packed_batch(here.config());
  const TokenScores ours = there.score(batch);
  const TokenScores theirs = here.score(batch);
  EXPECT_LT(reference::relative_error(ours.log_prob, theirs.log_prob), bounds(numbers()).logits);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < ours.argmax.size(); ++i) {
    equal += ours.argmax[i] == theirs.argmax[i] ? 1 : 0;
    EXPECT_EQ(ours.argmax[i] < 0, theirs.argmax[i] < 0);
  }
  // In bf16 two logits may change places.
  EXPECT_GE(equal + (numbers().type == tensor::DType::kBf16 ? 2 : 0), ours.argmax.size());
}

TEST_P(OnGpu, WhatIsComputedAgainAndWhereGradientsLieChangesNoBit) {
  for (const DecoderConfig& config : {family_configs().back(), small_config(true)}) {
    Decoder source(config);
    randomize(source, 0.2);
    const Batch batch = packed_batch(config);
    std::vector<float> expected;
    for (const GradientMemory memory : {GradientMemory::kApart, GradientMemory::kShared}) {
      for (const Recompute rung :
           {Recompute::kNothing, Recompute::kActivation, Recompute::kNorms, Recompute::kFeedForward,
            Recompute::kAttention, Recompute::kBlock}) {
        Decoder decoder = copy_of(source, numbers());
        decoder.enable_gradients(memory);
        static_cast<void>(decoder.forward_backward(
            batch, {.scale = 0.1F, .neftune_alpha = 5.0, .recompute = rung}));
        const std::vector<float> now = gradients(decoder);
        if (expected.empty()) expected = now;
        EXPECT_EQ(now, expected) << static_cast<int>(rung);
      }
    }
  }
}

TEST_P(OnGpu, InputsThatWaitOnTheHostChangeNoBit) {
  for (const bool adapters : {false, true}) {
    DecoderConfig config = small_config(true);
    config.layers = 5;
    Decoder source(config);
    randomize(source, 0.2);
    const auto decoder_of = [&] {
      Decoder decoder = copy_of(source, numbers());
      if (adapters) {
        LoraConfig lora = resolve_lora({.rank = 2, .alpha = 4.0}, config);
        std::erase_if(lora.modules, [](const auto& module) { return module.layer < 2; });
        decoder.attach_lora(lora, 3);
      }
      decoder.enable_gradients();
      return decoder;
    };
    StepOptions options{.scale = 0.1F, .recompute = Recompute::kBlock};
    Decoder kept = decoder_of();
    Decoder offloaded = decoder_of();
    for (const Batch& batch : {packed_batch(config), plain_batch(config, 3, 20, 1),
                               plain_batch(config, 2, 20, 4), plain_batch(config, 3, 20, 5)}) {
      options.offload_inputs = false;
      const LossSum expected = kept.forward_backward(batch, options);
      options.offload_inputs = true;
      EXPECT_EQ(offloaded.forward_backward(batch, options).loss, expected.loss);
      EXPECT_EQ(gradients(offloaded), gradients(kept)) << "adapters " << adapters;
    }
    const MemoryPlan plan = memory_plan(
        config, {}, kept.lora(),
        {.rows = 3, .length = 20, .recompute = Recompute::kBlock, .offload_inputs = true},
        numbers());
    EXPECT_EQ(offloaded.memory(), plan.memory);
    EXPECT_LT(offloaded.memory().pass, kept.memory().pass);
    EXPECT_EQ(kept.memory().host, 0U);
  }
}

// Products in FP8 err by some per cent, and by the same bits whatever is computed again.
TEST_P(OnGpu, ProductsInFp8) {
  if (numbers().type != tensor::DType::kBf16) GTEST_SKIP() << "FP8 goes with bf16";
  DecoderConfig config = small_config(false);
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  Decoder here(config);
  randomize(here, 0.15);
  const Batch batch = plain_batch(config, 2, 16, 1);
  here.enable_gradients();
  const double expected = here.forward_backward(batch, {.scale = 0.1F}).loss;
  Numbers fp8 = numbers();
  fp8.fp8 = true;
  std::vector<float> first;
  for (const Recompute rung : {Recompute::kNothing, Recompute::kBlock}) {
    Decoder there = copy_of(here, fp8);
    there.enable_gradients();
    const double loss = there.forward_backward(batch, {.scale = 0.1F, .recompute = rung}).loss;
    EXPECT_NEAR(loss / expected, 1.0, 0.02);
    const std::vector<float> now = gradients(there);
    const double error = reference::relative_error(now, gradients(here));
    EXPECT_GT(error, 0.01);  // it is not bf16
    EXPECT_LT(error, 0.25);  // a gradient has three significant bits
    if (first.empty()) first = now;
    EXPECT_EQ(now, first);
    EXPECT_EQ(
        there.memory(),
        memory_plan(config, {}, nullptr, {.rows = 2, .length = 16, .recompute = rung}, fp8).memory);
  }
}

TEST_P(OnGpu, AdaptersOnDenseAndQuantisedWeights) {
  const DecoderConfig config = small_config(false);
  Decoder source(config);
  randomize(source, 0.2);
  const LoraOptions options{.rank = 2, .alpha = 4.0, .dropout = 0.25};
  for (const Quantization& quantization :
       {Quantization{}, Quantization{ops::QuantFormat::kInt8, ops::ScaleFormat::kF32},
        Quantization{ops::QuantFormat::kNf4, ops::ScaleFormat::kF32},
        Quantization{ops::QuantFormat::kNf4, ops::ScaleFormat::kDouble}}) {
    Decoder here = copy_of(source, kOnCpu, quantization);
    Decoder there = copy_of(source, numbers(), quantization);
    for (Decoder* decoder : {&here, &there}) {
      decoder->attach_lora(resolve_lora(options, config), 3);
      std::uint64_t stream = 900;
      for (const Parameter& parameter : decoder->trainable()) {
        tensor::write(
            reference::to_f32(reference::normal_numbers(parameter.elements(), stream++, 0.3)),
            parameter.stored);
      }
    }
    expect_the_same(here, there, packed_batch(config), "adapters");
    std::vector<float> ours(here.parameters()[2].whole_shape()[0] *
                            here.parameters()[2].whole_shape()[1]);
    std::vector<float> theirs(ours.size());
    there.read_merged(2, ours);
    here.read_merged(2, theirs);
    EXPECT_LT(reference::relative_error(ours, theirs), bounds(numbers()).gradient);
  }
}

TEST_P(OnGpu, GenerationGivesTheLogitsOfTheWholeText) {
  for (const DecoderConfig& config : family_configs()) {
    Decoder source(config);
    randomize(source, 0.2);
    const Decoder decoder = copy_of(source, numbers());
    DecodeSession here(source, 24);
    DecodeSession there(decoder, 24);
    const std::vector<std::int32_t> prompt{1, 5, 9, 2, 2, 17, 4, 8, 11, 3, 6};
    EXPECT_LT(reference::relative_error(there.append(prompt), here.append(prompt)),
              bounds(numbers()).logits);
    for (std::int32_t token = 3; token < 10; ++token) {
      const std::vector<std::int32_t> one{token};
      EXPECT_LT(reference::relative_error(there.append(one), here.append(one)),
                2 * bounds(numbers()).logits);
    }
    there.truncate(8);
    here.truncate(8);
    EXPECT_LT(reference::relative_error(there.append(prompt), here.append(prompt)),
              bounds(numbers()).logits);
  }
}

TEST(DecoderDevice, AGpuThatIsNotThereIsNamed) {
  if (tensor::gpu_count() > 0) GTEST_SKIP() << "there is one";
  try {
    const Decoder decoder(small_config(false), {}, {}, kBf16OnGpu);
    ADD_FAILURE() << "a decoder on no device";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_NE(std::string(error.what()).find("cuda:0"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace nativo::model
