// Logits, loss and every gradient against Hugging Face transformers: tests/golden/transformers.
// Bounds: two f32 programs that sum in different orders. transformers itself is 3e-7 (logits) and
// up to 1.3e-6 (gradients) from f64 on these models (make_golden.py prints it); a wrong term is
// orders above that.
#include <gtest/gtest.h>

#include <cmath>

#include "base/scratch.h"
#include "model/decode_session.h"
#include "model/golden.h"
#include "model/hf_directory.h"
#include "reference/numbers.h"

namespace nativo::model {
namespace {

constexpr double kLogits = 2e-6;
constexpr double kLoss = 2e-6;
constexpr double kGradient = 1e-5;

struct Golden {
  explicit Golden(const std::string& name)
      : folder(golden_folder() / "transformers" / name),
        json(read_golden_json(folder / "batch.json")),
        batch(golden_batch(json)),
        expected(folder / "expected.safetensors"),
        decoder(load_decoder(folder)) {}

  std::filesystem::path folder;
  Json json;
  Batch batch;
  SafetensorsFile expected;
  Decoder decoder;
};

class Transformers : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Golden, Transformers, testing::ValuesIn(kTransformersCases),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Transformers, LogitsAgree) {
  Golden golden(GetParam());
  const std::vector<float> expected = golden_tensor(golden.expected, "logits");
  EXPECT_LT(reference::relative_error(golden.decoder.logits(golden.batch), expected), kLogits);
}

TEST_P(Transformers, LossAgrees) {
  Golden golden(GetParam());
  const LossSum sum = golden.decoder.forward(golden.batch);
  const double mean = sum.loss / static_cast<double>(sum.targets);
  EXPECT_NEAR(mean / golden.json.at("loss").get<double>(), 1.0, kLoss);
  EXPECT_NEAR(mean / golden.json.at("exact_loss").get<double>(), 1.0, kLoss);
}

TEST_P(Transformers, EveryGradientAgrees) {
  Golden golden(GetParam());
  golden.decoder.enable_gradients();
  const LossSum sum = golden.decoder.forward(golden.batch);
  static_cast<void>(golden.decoder.forward_backward(
      golden.batch, {.scale = 1.0F / static_cast<float>(sum.targets)}));
  std::size_t compared = 0;
  for (const Parameter& parameter : golden.decoder.parameters()) {
    const std::string name = "gradient." + parameter.name;
    ASSERT_NE(golden.expected.find(name), nullptr) << name;
    EXPECT_LT(reference::relative_error(parameter.gradient, golden_tensor(golden.expected, name)),
              kGradient)
        << name;
    ++compared;
  }
  // All of theirs, the logits apart: none is missing from ours.
  EXPECT_EQ(compared + 1, golden.expected.header().tensors.size());
}

TEST_P(Transformers, WhatIsSavedIsLoadedAgain) {
  Golden golden(GetParam());
  const auto folder = scratch_path();
  std::filesystem::remove_all(folder);
  SaveOptions options;
  options.type = StorageType::kF32;
  save_decoder(folder, golden.decoder, options);
  Decoder again = load_decoder(folder);
  EXPECT_EQ(again.config(), golden.decoder.config());
  EXPECT_EQ(again.logits(golden.batch), golden.decoder.logits(golden.batch));
  std::filesystem::remove_all(folder);
}

// Generation has its own forward pass: rows that are one document from their first token on.
TEST_P(Transformers, GenerationGivesTheSameLogits) {
  Golden golden(GetParam());
  const std::vector<float> expected = golden_tensor(golden.expected, "logits");
  const auto width = static_cast<std::size_t>(golden.decoder.config().vocab_size);
  const auto length = static_cast<std::size_t>(golden.batch.length);
  std::size_t compared = 0;
  for (std::size_t row = 0; row < static_cast<std::size_t>(golden.batch.rows); ++row) {
    DecodeSession session(golden.decoder, golden.batch.length);
    for (std::size_t t = 0; t < length && golden.batch.documents[row * length + t] == 0; ++t) {
      const std::size_t at = row * length + t;
      const std::span<const float> logits =
          session.append(std::span(golden.batch.tokens).subspan(at, 1));
      const std::span<const float> theirs(&expected[at * width], width);
      // A single token's logits: fewer numbers to average over than the whole batch.
      EXPECT_LT(reference::relative_error(logits, theirs), 2.0 * kLogits) << row << ", " << t;
      ++compared;
    }
  }
  EXPECT_GT(compared, 0U);
}

}  // namespace
}  // namespace nativo::model
