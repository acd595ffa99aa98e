// Keeping, computing again, sharing memory: none of it changes a bit, all of it is planned.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/decoder_fixture.h"
#include "model/memory_plan.h"

namespace nativo::model {
namespace {

constexpr std::array<Recompute, 6> kRungs = {Recompute::kNothing,   Recompute::kActivation,
                                             Recompute::kNorms,     Recompute::kFeedForward,
                                             Recompute::kAttention, Recompute::kBlock};

/// Full training, LoRA in f32 with dropout, QLoRA.
struct Method {
  const char* name;
  bool lora;
  std::optional<ops::QuantFormat> format;
};
constexpr std::array<Method, 3> kMethods = {
    {{"full", false, {}}, {"lora", true, {}}, {"qlora", true, ops::QuantFormat::kNf4}}};

const LoraOptions kLora{.rank = 2, .alpha = 4.0, .dropout = 0.25};

Decoder decoder_of(const DecoderConfig& config, const Method& method) {
  Decoder dense(config);
  randomize(dense);
  Decoder decoder(config, {method.format, ops::ScaleFormat::kF32});
  std::size_t next = 0;
  decoder.load([&](const Parameter& parameter, std::span<float> values) {
    const auto parameters = std::as_const(dense).parameters();
    while (parameters[next % parameters.size()].name != parameter.name) ++next;
    std::ranges::copy(parameters[next % parameters.size()].value, values.begin());
  });
  if (!method.lora) return decoder;
  decoder.attach_lora(resolve_lora(kLora, config), 3);
  std::uint64_t stream = 900;
  for (Parameter& parameter : decoder.trainable()) {
    const auto numbers = reference::normal_numbers(parameter.value.size(), stream++, 0.3);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      parameter.value[i] = static_cast<float>(numbers[i]);
    }
  }
  return decoder;
}

std::vector<float> trained_gradients(const Decoder& decoder) {
  std::vector<float> flat;
  for (const Parameter& parameter : decoder.trainable()) {
    EXPECT_EQ(parameter.gradient.size(), parameter.value.size()) << parameter.name;
    flat.insert(flat.end(), parameter.gradient.begin(), parameter.gradient.end());
  }
  return flat;
}

StepOptions step_options(Recompute rung) {
  return {.scale = 0.5F, .z_loss = 0.01, .neftune_alpha = 2.0, .recompute = rung};
}

Batch noisy_batch(const DecoderConfig& config) {
  Batch batch = packed_batch(config);
  batch.noise = {.seed = 5, .step = 3, .first_row = 2};
  return batch;
}

class RecomputeTest : public testing::TestWithParam<std::tuple<DecoderConfig, Method>> {};
INSTANTIATE_TEST_SUITE_P(Families, RecomputeTest,
                         testing::Combine(testing::ValuesIn(family_configs()),
                                          testing::ValuesIn(kMethods)),
                         [](const auto& test) {
                           return fmt::format("{}_{}_{}",
                                              family_name(std::get<0>(test.param).family),
                                              std::get<1>(test.param).name, test.index);
                         });

TEST_P(RecomputeTest, EveryRungGivesTheSameBits) {
  const auto& [config, method] = GetParam();
  const Batch batch = noisy_batch(config);
  LossSum first;
  std::vector<float> expected;
  for (const GradientMemory memory : {GradientMemory::kApart, GradientMemory::kShared}) {
    Decoder decoder = decoder_of(config, method);
    decoder.enable_gradients(memory);
    for (const Recompute rung : kRungs) {
      decoder.zero_gradients();
      const LossSum sum = decoder.forward_backward(batch, step_options(rung));
      const std::vector<float> gradients = trained_gradients(decoder);
      if (expected.empty()) {
        first = sum;
        expected = gradients;
        EXPECT_TRUE(std::ranges::any_of(expected, [](float value) { return value != 0.0F; }));
      }
      EXPECT_EQ(sum.loss, first.loss) << recompute_name(rung);
      EXPECT_EQ(sum.objective, first.objective) << recompute_name(rung);
      EXPECT_TRUE(gradients == expected) << recompute_name(rung);
    }
  }
}

/// The gradients of each layer as they are when layer_done is called for it, one behind the other.
std::vector<float> passing_gradients(Decoder& decoder, const Batch& batch, StepOptions options) {
  std::vector<std::vector<float>> of(decoder.trainable().size());
  options.layer_done = [&](std::int64_t layer) {
    for (std::size_t i = 0; i < of.size(); ++i) {
      const Parameter& parameter = decoder.trainable()[i];
      if (parameter.layer != layer) continue;
      EXPECT_TRUE(of[i].empty()) << parameter.name;
      of[i].assign(parameter.gradient.begin(), parameter.gradient.end());
      std::ranges::fill(parameter.gradient, 1e9F);  // nobody wants it any more
    }
  };
  static_cast<void>(decoder.forward_backward(batch, options));
  std::vector<float> flat;
  for (const std::vector<float>& one : of) flat.insert(flat.end(), one.begin(), one.end());
  return flat;
}

TEST_P(RecomputeTest, PassingGradientsAreThereWhenTheirLayerIsDone) {
  const auto& [config, method] = GetParam();
  if (method.lora) GTEST_SKIP() << "adapters' gradients lie apart";
  const Batch batch = noisy_batch(config);
  for (const Recompute rung : kRungs) {
    Decoder whole = decoder_of(config, method);
    whole.enable_gradients();
    static_cast<void>(whole.forward_backward(batch, step_options(rung)));
    Decoder decoder = decoder_of(config, method);
    decoder.enable_gradients(GradientMemory::kPassing);
    for (int step = 0; step < 2; ++step) {  // the second finds what the first has left
      decoder.zero_gradients();
      EXPECT_TRUE(passing_gradients(decoder, batch, step_options(rung)) == trained_gradients(whole))
          << recompute_name(rung);
    }
  }
}

TEST_P(RecomputeTest, TheMemoryIsThePlans) {
  const auto& [config, method] = GetParam();
  const Batch batch = noisy_batch(config);
  for (const GradientMemory memory :
       {GradientMemory::kApart, GradientMemory::kShared, GradientMemory::kPassing}) {
    for (const Recompute rung : kRungs) {
      Decoder decoder = decoder_of(config, method);
      decoder.enable_gradients(memory);
      static_cast<void>(decoder.forward_backward(batch, step_options(rung)));
      const MemoryPlan plan =
          memory_plan(config, decoder.quantization(), decoder.lora(),
                      {.rows = 2, .length = 14, .recompute = rung, .gradients = memory});
      EXPECT_EQ(decoder.memory(), plan.memory) << recompute_name(rung);
      for (const auto& half : {plan.forward, plan.backward}) {
        const std::size_t used =
            std::accumulate(half.begin(), half.end(), std::size_t{0},
                            [](std::size_t sum, const auto& part) { return sum + part.bytes; });
        EXPECT_GT(used, 0U);
        EXPECT_LE(used, plan.memory.pass);
      }
    }
  }
}

/// 207 M parameters, 4 x 512 tokens; nothing is allocated.
DecoderConfig large_config() {
  return {.vocab_size = 32000,
          .hidden_size = 1024,
          .intermediate_size = 2816,
          .layers = 12,
          .heads = 16,
          .kv_heads = 8,
          .head_dim = 64,
          .max_positions = 512,
          .sliding_window = {}};
}

TEST(Recompute, EachRungNeedsLess) {
  const DecoderConfig config = large_config();
  for (const GradientMemory memory : {GradientMemory::kApart, GradientMemory::kShared}) {
    std::size_t before = SIZE_MAX;
    for (const Recompute rung : kRungs) {
      const MemoryPlan plan = memory_plan(
          config, {}, nullptr, {.rows = 4, .length = 512, .recompute = rung, .gradients = memory});
      // With shared gradients the last rungs are bound by the gradients themselves.
      EXPECT_LE(plan.memory.pass, before) << recompute_name(rung);
      before = plan.memory.pass;
    }
    const auto gradients = 4 * static_cast<std::size_t>(config.parameter_count());
    EXPECT_LT(before, memory == GradientMemory::kShared ? 1.05 * static_cast<double>(gradients)
                                                        : 0.3 * static_cast<double>(gradients));
  }
}

TEST(Recompute, SharedGradientsCostLittleBesideTheActivations) {
  const auto plan = [](GradientMemory memory) {
    return memory_plan(large_config(), {}, nullptr, {.rows = 4, .length = 512, .gradients = memory})
        .memory;
  };
  const DecoderMemory apart = plan(GradientMemory::kApart);
  const DecoderMemory shared = plan(GradientMemory::kShared);
  EXPECT_EQ(shared.gradients, 0U);
  EXPECT_LT(shared.pass - apart.pass, apart.gradients / 4);
}

TEST(Recompute, PassingGradientsNeedALayersMemory) {
  const auto plan = [](GradientMemory memory) {
    return memory_plan(
               large_config(), {}, nullptr,
               {.rows = 4, .length = 512, .recompute = Recompute::kBlock, .gradients = memory})
        .memory;
  };
  const auto others = 4 * static_cast<std::size_t>(layer_numbers(large_config()).others);
  EXPECT_EQ(plan(GradientMemory::kPassing).gradients, 0U);
  EXPECT_LT(plan(GradientMemory::kPassing).pass,
            plan(GradientMemory::kApart).pass + others);  // they are the largest there is at a time
  EXPECT_LT(2 * plan(GradientMemory::kPassing).pass, plan(GradientMemory::kShared).pass);
}

TEST(Recompute, SharedGradientsAreThoseOfTheLastBatch) {
  const DecoderConfig config = small_config(false);
  Decoder decoder = decoder_of(config, kMethods[0]);
  decoder.enable_gradients(GradientMemory::kShared);
  EXPECT_TRUE(decoder.parameters().front().gradient.empty());
  static_cast<void>(decoder.forward_backward(noisy_batch(config), {}));
  const std::vector<float> expected = trained_gradients(decoder);
  // A pass of another kind takes the memory, and says so.
  static_cast<void>(decoder.forward(plain_batch(config, 3, 20, 1)));
  EXPECT_TRUE(decoder.parameters().front().gradient.empty());
  decoder.zero_gradients();
  static_cast<void>(decoder.forward_backward(noisy_batch(config), {}));
  EXPECT_TRUE(trained_gradients(decoder) == expected);
  // A batch without targets has gradients of zero.
  Batch none = noisy_batch(config);
  std::fill(none.targets.begin(), none.targets.end(), -1);
  decoder.zero_gradients();
  EXPECT_EQ(decoder.forward_backward(none, {}).targets, 0);
  for (const float value : trained_gradients(decoder)) ASSERT_EQ(value, 0.0F);
}

TEST(Recompute, NothingIsDoneBelowTheLowestAdapter) {
  const DecoderConfig config = small_config(false);
  const Batch batch = noisy_batch(config);
  std::vector<std::vector<float>> gradients;
  std::vector<std::size_t> memory;
  for (const std::int64_t lowest : {0, 1}) {
    Decoder decoder(config);
    randomize(decoder);
    LoraConfig lora = resolve_lora({.rank = 2}, config);
    std::erase_if(lora.modules, [&](const LoraModule& module) { return module.layer < lowest; });
    decoder.attach_lora(lora, 3);
    for (Parameter& parameter : decoder.trainable()) {
      // Layer 0's adapters add nothing, so that both models are the same.
      const bool off = parameter.name.find("layers.0.") != std::string::npos;
      const auto numbers = reference::normal_numbers(parameter.value.size(),
                                                     parameter.value.size() + 7, off ? 0.0 : 0.3);
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        parameter.value[i] = static_cast<float>(numbers[i]);
      }
    }
    decoder.enable_gradients();
    static_cast<void>(decoder.forward_backward(batch, {}));
    std::vector<float>& flat = gradients.emplace_back();
    for (const Parameter& parameter : decoder.trainable()) {
      if (parameter.name.find("layers.1.") == std::string::npos) continue;
      flat.insert(flat.end(), parameter.gradient.begin(), parameter.gradient.end());
    }
    memory.push_back(decoder.memory().pass);
  }
  EXPECT_FALSE(gradients[0].empty());
  EXPECT_TRUE(gradients[0] == gradients[1]);
  EXPECT_LT(memory[1], memory[0]);
}

TEST(Recompute, NamesGoThereAndBack) {
  for (const Recompute rung : kRungs) {
    EXPECT_EQ(recompute_from_name(recompute_name(rung)), rung);
  }
  EXPECT_FALSE(recompute_from_name("all"));
}

}  // namespace
}  // namespace nativo::model
