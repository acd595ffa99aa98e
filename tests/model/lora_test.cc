// LoRA and quantised bases: against PEFT's and bitsandbytes' numbers (tests/golden/lora), and what
// must hold of any adapter.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "io/temp_folder.h"
#include "model/decode_session.h"
#include "model/decoder_fixture.h"
#include "model/decoder_state.h"
#include "model/golden.h"
#include "model/peft_adapter.h"
#include "reference/numbers.h"

namespace nativo::model {
namespace {

// As for transformers: two f32 programs that sum in different orders.
constexpr double kLogits = 2e-6;
constexpr double kLoss = 2e-6;
constexpr double kGradient = 1e-5;

struct Golden {
  explicit Golden(const std::string& name)
      : folder(golden_folder() / "lora" / name),
        json(read_golden_json(folder / "batch.json")),
        batch(golden_batch(json)),
        expected(folder / "expected.safetensors"),
        decoder(load_decoder(folder / "base")) {
    load_adapter(decoder, folder / "adapter");
  }

  std::filesystem::path folder;
  Json json;
  Batch batch;
  SafetensorsFile expected;
  Decoder decoder;
};

class Peft : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Golden, Peft,
                         testing::Values("mistral_qv", "mistral_all_rslora", "qwen2_mlp"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Peft, LogitsAndLossAgree) {
  Golden golden(GetParam());
  const std::vector<float> expected = golden_tensor(golden.expected, "logits");
  EXPECT_LT(reference::relative_error(golden.decoder.logits(golden.batch), expected), kLogits);
  const LossSum sum = golden.decoder.forward(golden.batch);
  EXPECT_NEAR(sum.loss / static_cast<double>(sum.targets) / golden.json.at("loss").get<double>(),
              1.0, kLoss);
  // The adapter matters: without it the logits are far away.
  Decoder base = load_decoder(golden.folder / "base");
  EXPECT_GT(reference::relative_error(base.logits(golden.batch), expected), 0.05);
}

TEST_P(Peft, EveryGradientAgrees) {
  Golden golden(GetParam());
  golden.decoder.enable_gradients();
  const LossSum sum = golden.decoder.forward(golden.batch);
  static_cast<void>(golden.decoder.forward_backward(
      golden.batch, {.scale = 1.0F / static_cast<float>(sum.targets)}));
  std::size_t compared = 0;
  for (const Parameter& parameter : golden.decoder.trainable()) {
    const std::string name = "gradient." + parameter.name;
    ASSERT_NE(golden.expected.find(name), nullptr) << name;
    EXPECT_LT(reference::relative_error(parameter.gradient, golden_tensor(golden.expected, name)),
              kGradient)
        << name;
    ++compared;
  }
  EXPECT_EQ(compared + 2, golden.expected.header().tensors.size());
}

TEST_P(Peft, GenerationUsesTheAdapter) {
  Golden golden(GetParam());
  const std::vector<float> expected = golden_tensor(golden.expected, "logits");
  const auto width = static_cast<std::size_t>(golden.decoder.config().vocab_size);
  DecodeSession session(golden.decoder, golden.batch.length);
  for (std::size_t t = 0; t < static_cast<std::size_t>(golden.batch.length); ++t) {
    const auto logits = session.append(std::span(golden.batch.tokens).subspan(t, 1));
    EXPECT_LT(reference::relative_error(logits, std::span(&expected[t * width], width)),
              2.0 * kLogits);
  }
}

TEST_P(Peft, MergedIsUnmerged) {
  Golden golden(GetParam());
  const io::TempFolder temporary;
  save_decoder(temporary.path() / "model", golden.decoder, {.type = StorageType::kF32});
  Decoder merged = load_decoder(temporary.path() / "model");
  EXPECT_EQ(merged.lora(), nullptr);
  const std::vector<float> logits = merged.logits(golden.batch);
  EXPECT_LT(reference::relative_error(logits, golden_tensor(golden.expected, "merged_logits")),
            kLogits);
  // W + sBA is rounded once where W x + s B A x is rounded twice.
  EXPECT_LT(reference::relative_error(logits, golden.decoder.logits(golden.batch)), kLogits);
}

TEST_P(Peft, WhatIsWrittenIsReadAgain) {
  Golden golden(GetParam());
  const io::TempFolder temporary;
  save_adapter(temporary.path() / "adapter", golden.decoder, "some/base");
  Decoder again = load_decoder(golden.folder / "base");
  load_adapter(again, temporary.path() / "adapter");
  EXPECT_EQ(*again.lora(), *golden.decoder.lora());
  EXPECT_TRUE(again.logits(golden.batch) == golden.decoder.logits(golden.batch));
  // The weights' file is PEFT's own, byte for byte.
  EXPECT_TRUE(io::read_file(temporary.path() / "adapter" / kAdapterWeights) ==
              io::read_file(golden.folder / "adapter" / kAdapterWeights));
}

TEST(Nf4, AgreesWithBitsandbytes) {
  const SafetensorsFile file(golden_folder() / "lora" / "nf4.safetensors");
  const std::vector<float> weight = golden_tensor(file, "weight");
  const auto shapes = ops::quantized_shapes(ops::QuantFormat::kNf4, ops::ScaleFormat::kF32, 6, 192);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(shapes.codes.elements()));
  std::vector<float> scales(static_cast<std::size_t>(shapes.scales.elements()));
  ops::QuantizedMatrix matrix;
  matrix.format = ops::QuantFormat::kNf4;
  matrix.rows = 6;
  matrix.columns = 192;
  matrix.codes = {std::span(codes), shapes.codes};
  matrix.scales = {std::span(scales), shapes.scales};
  matrix.scale_codes = {nullptr, shapes.scale_codes};
  matrix.scale_ranges = {nullptr, shapes.scale_ranges};
  ops::quantize({std::span(weight), {6, 192}}, matrix);
  std::vector<float> got(weight.size());
  ops::dequantize_rows(matrix, 0, {std::span(got), {6, 192}});
  const std::vector<float> expected = golden_tensor(file, "dequantized");
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_FLOAT_EQ(got[i], expected[i]) << i;
}

/// A small random decoder with adapters whose B is not zero.
Decoder adapted(const LoraOptions& options, const Quantization& quantization = {},
                const DecoderConfig& config = small_config(false)) {
  Decoder dense(config);
  randomize(dense);
  Decoder decoder(dense.config(), quantization);
  decoder.load([&](const Parameter& parameter, std::span<float> values) {
    for (const Parameter& from : dense.parameters()) {
      if (from.name == parameter.name) std::ranges::copy(from.value, values.begin());
    }
  });
  decoder.attach_lora(resolve_lora(options, decoder.config()), 7);
  std::uint64_t stream = 500;
  for (Parameter& parameter : decoder.trainable()) {
    if (parameter.name.find("lora_B") == std::string::npos) continue;
    const auto numbers = reference::normal_numbers(parameter.value.size(), stream++, 0.3);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      parameter.value[i] = static_cast<float>(numbers[i]);
    }
  }
  return decoder;
}

std::vector<float> adapter_gradients(Decoder& decoder, const Batch& batch) {
  decoder.enable_gradients();
  decoder.zero_gradients();
  static_cast<void>(decoder.forward_backward(batch, {.scale = 1.0F}));
  std::vector<float> flat;
  for (const Parameter& parameter : decoder.trainable()) {
    flat.insert(flat.end(), parameter.gradient.begin(), parameter.gradient.end());
  }
  return flat;
}

TEST(Lora, AFreshAdapterChangesNothing) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  const Batch batch = packed_batch(decoder.config());
  const std::vector<float> before = decoder.logits(batch);
  decoder.attach_lora(resolve_lora({.rank = 4}, decoder.config()), 1);
  EXPECT_TRUE(decoder.logits(batch) == before);
  double greatest = 0.0;
  for (const Parameter& parameter : decoder.trainable()) {
    const bool is_a = parameter.name.find("lora_A") != std::string::npos;
    const double bound = 1.0 / std::sqrt(static_cast<double>(parameter.shape[1]));
    for (const float value : parameter.value) {
      ASSERT_LE(std::abs(value), is_a ? bound : 0.0);
      greatest = std::max(greatest, std::abs(value) / bound);
    }
  }
  EXPECT_GT(greatest, 0.95);
}

TEST(Lora, OnlyAdaptersHaveGradients) {
  Decoder decoder = adapted({.rank = 2});
  decoder.enable_gradients();
  for (const Parameter& parameter : decoder.parameters()) EXPECT_TRUE(parameter.gradient.empty());
  std::int64_t count = 0;
  for (const Parameter& parameter : decoder.trainable()) {
    EXPECT_EQ(parameter.gradient.size(), parameter.value.size());
    count += static_cast<std::int64_t>(parameter.gradient.size());
  }
  EXPECT_EQ(count, lora_parameter_count(*decoder.lora(), decoder.config()));
  const std::vector<double> before = flat_values(decoder);
  static_cast<void>(adapter_gradients(decoder, packed_batch(decoder.config())));
  EXPECT_EQ(flat_values(decoder), before);
}

/// Against differences of the loss itself, on every kind of base: the dropout's masks are part of
/// the function, so its gradient is only right if both passes meet the same masks.
TEST(Lora, GradientsAreTheDifferencesOnEveryBase) {
  for (const auto format :
       {std::optional<ops::QuantFormat>(), std::optional(ops::QuantFormat::kInt8),
        std::optional(ops::QuantFormat::kNf4)}) {
    for (const double dropout : {0.0, 0.4}) {
      Decoder decoder = adapted({.rank = 2, .alpha = 3.0, .dropout = dropout, .rslora = true},
                                {format, ops::ScaleFormat::kDouble});
      Batch batch = packed_batch(decoder.config());
      batch.noise = {.seed = 3, .step = 9, .first_row = 4};
      const std::vector<float> gradient = adapter_gradients(decoder, batch);
      // A direction that is half the gradient's own, so that the difference is not all rounding.
      const double size = reference::relative_error(gradient, std::vector<double>(gradient.size()));
      std::vector<double> direction = reference::normal_numbers(gradient.size(), 77);
      double expected = 0.0;
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        direction[i] = direction[i] / std::sqrt(static_cast<double>(gradient.size())) +
                       static_cast<double>(gradient[i]) / size;
        expected += gradient[i] * direction[i];
      }
      const auto loss_at = [&](double step) {
        std::size_t i = 0;
        for (Parameter& parameter : decoder.trainable()) {
          for (float& value : parameter.value) {
            value += static_cast<float>(step * direction[i++]);
          }
        }
        return decoder.forward_backward(batch, {.scale = 1.0F}).loss;
      };
      constexpr double kStep = 1e-3;
      const double above = loss_at(kStep);
      const double below = loss_at(-2.0 * kStep);
      // The loss sum of about 100 has an error of some 1e-5 in f32; the slope is 10 and more.
      EXPECT_NEAR((above - below) / (2.0 * kStep) / expected, 1.0, 2e-3)
          << (format ? static_cast<int>(*format) : -1) << " " << dropout;
    }
  }
}

TEST(Lora, MasksFollowTheRowsThroughAnyCut) {
  Decoder decoder = adapted({.rank = 3, .dropout = 0.3});
  Batch whole = plain_batch(decoder.config(), 4, 14, 3);
  whole.noise = {.seed = 11, .step = 2, .first_row = 0};
  const std::vector<float> together = adapter_gradients(decoder, whole);
  decoder.zero_gradients();
  for (std::int64_t row = 0; row < 4; ++row) {
    Batch part;  // one row, with more padding than in the whole
    part.rows = 1;
    part.length = 14 + 3 * row;
    const auto cut = [&](const std::vector<std::int32_t>& all, std::int32_t padding) {
      std::vector<std::int32_t> some(all.begin() + row * 14, all.begin() + (row + 1) * 14);
      some.resize(static_cast<std::size_t>(part.length), padding);
      return some;
    };
    part.tokens = cut(whole.tokens, 0);
    part.targets = cut(whole.targets, -1);
    part.positions = cut(whole.positions, 0);
    part.documents = cut(whole.documents, -1);
    part.noise = {.seed = 11, .step = 2, .first_row = row};
    static_cast<void>(decoder.forward_backward(part, {.scale = 1.0F}));
  }
  std::vector<float> apart;
  for (const Parameter& parameter : decoder.trainable()) {
    apart.insert(apart.end(), parameter.gradient.begin(), parameter.gradient.end());
  }
  // Sums in another order: 1e-5 without dropout too, on this model. Another mask is far above.
  EXPECT_LT(reference::relative_error(apart, together), 1e-4);
  whole.noise.step = 3;
  EXPECT_GT(reference::relative_error(adapter_gradients(decoder, whole), together), 0.01);
}

TEST(Lora, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = thread_count();
  std::vector<float> expected;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    Decoder decoder = adapted({.rank = 3, .dropout = 0.3}, {ops::QuantFormat::kNf4, {}});
    const std::vector<float> got = adapter_gradients(decoder, packed_batch(decoder.config()));
    if (threads == 1) expected = got;
    EXPECT_TRUE(got == expected) << threads;
  }
  set_thread_count(before);
}

TEST(Lora, AQuantisedBaseComputesWithItsDequantisedWeights) {
  for (const auto format : {ops::QuantFormat::kInt8, ops::QuantFormat::kNf4}) {
    Decoder decoder = adapted({.rank = 2}, {format, ops::ScaleFormat::kDouble});
    const Batch batch = packed_batch(decoder.config());
    const io::TempFolder temporary;
    save_decoder(temporary.path() / "model", decoder, {.type = StorageType::kF32});
    Decoder merged = load_decoder(temporary.path() / "model");
    EXPECT_LT(reference::relative_error(merged.logits(batch), decoder.logits(batch)), kLogits);
    // And it is quantised: the f32 model is somewhere else, int8 near, NF4 farther away.
    Decoder dense = adapted({.rank = 2});
    const double error = reference::relative_error(decoder.logits(batch), dense.logits(batch));
    EXPECT_GT(error, 1e-3);
    EXPECT_LT(error, format == ops::QuantFormat::kInt8 ? 0.05 : 0.7);
  }
}

/// Frozen biases and norms of q and k too: what is merged is what was computed, and only adapters
/// have gradients.
TEST(Lora, EveryFamilyHasAdaptersOnEveryBase) {
  for (const DecoderConfig& config : family_configs()) {
    for (const auto format :
         {std::optional<ops::QuantFormat>(), std::optional(ops::QuantFormat::kNf4)}) {
      Decoder decoder = adapted({.rank = 2}, {format, ops::ScaleFormat::kF32}, config);
      const Batch batch = packed_batch(decoder.config());
      const io::TempFolder temporary;
      save_decoder(temporary.path() / "model", decoder, {.type = StorageType::kF32});
      Decoder merged = load_decoder(temporary.path() / "model");
      EXPECT_LT(reference::relative_error(merged.logits(batch), decoder.logits(batch)), kLogits);
      const std::vector<double> before = flat_values(decoder);
      for (const float value : adapter_gradients(decoder, batch)) ASSERT_TRUE(std::isfinite(value));
      EXPECT_EQ(flat_values(decoder), before);
      EXPECT_TRUE(flat_gradients(decoder).empty());
    }
  }
}

TEST(Lora, AQuantisedBaseIsPlannedAtItsBitsAWeight) {
  DecoderConfig config = small_config(false);
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.head_dim = 64;
  const auto bits = [&](const Quantization& quantization) {
    return 8.0 * static_cast<double>(plan_quantized(config, quantization).bytes()) /
           static_cast<double>(quantized_parameter_count(config, quantization));
  };
  EXPECT_NEAR(bits({ops::QuantFormat::kInt8, ops::ScaleFormat::kF32}), 8.5, 1e-3);
  EXPECT_NEAR(bits({ops::QuantFormat::kNf4, ops::ScaleFormat::kF32}), 4.5, 1e-3);
  EXPECT_NEAR(bits({ops::QuantFormat::kNf4, ops::ScaleFormat::kDouble}), 4.13, 0.01);
  EXPECT_EQ(plan_quantized(config, {}).bytes(), 0U);
  const LoraConfig lora = resolve_lora({.rank = 8, .dropout = 0.1}, config);
  const LinearScratch scratch = linear_scratch(config, {}, &lora, 100, {});
  EXPECT_EQ(scratch.panel, 0);
  EXPECT_EQ(scratch.hidden, 800);
  EXPECT_EQ(scratch.dropped, 100 * 512);  // down_proj's input
}

TEST(Lora, AWeightThatCannotBeQuantisedIsNamed) {
  Decoder decoder(small_config(false), {ops::QuantFormat::kInt8, ops::ScaleFormat::kF32});
  try {
    decoder.load([](const Parameter& parameter, std::span<float> values) {
      std::ranges::fill(values,
                        parameter.name.find("1.mlp.down") != std::string::npos ? NAN : 0.1F);
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("model.layers.1.mlp.down_proj.weight"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace nativo::model
