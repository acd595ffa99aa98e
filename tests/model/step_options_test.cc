// What forward_backward adds to the plain loss: z-loss, label smoothing, NEFTune,
// log-probabilities.
#include <gtest/gtest.h>

#include <cmath>

#include "model/decoder_fixture.h"
#include "ops/noise.h"
#include "reference/decoder.h"

namespace nativo::model {
namespace {

/// The sum of smoothed_loss over the targets.
double objective(const Decoder& decoder, const std::vector<double>& values, const Batch& batch,
                 double z_loss, double smoothing) {
  const auto columns = static_cast<std::size_t>(decoder.config().vocab_size);
  const auto logits = reference::decoder_logits(decoder.config(), values, batch);
  double sum = 0.0;
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] < 0 || batch.documents[i] < 0) continue;
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(i * columns);
    sum += reference::smoothed_loss({begin, begin + static_cast<std::ptrdiff_t>(columns)},
                                    {batch.targets[i]}, columns, z_loss, smoothing)[0];
  }
  return sum;
}

TEST(StepOptions, ZLossAndLabelSmoothingAreInTheObjectiveAndItsGradient) {
  // Behind the logits all families are one.
  for (const bool tied : {false, true}) {
    const DecoderConfig config = small_config(tied);
    Decoder decoder(config);
    randomize(decoder);
    decoder.enable_gradients();
    const Batch batch = packed_batch(config);
    const double plain = decoder.forward(batch).loss;
    const LossSum sum =
        decoder.forward_backward(batch, {.scale = 0.5F, .z_loss = 0.01, .label_smoothing = 0.1});
    EXPECT_NEAR(sum.loss / plain, 1.0, 1e-12);
    const double expected = objective(decoder, flat_values(decoder), batch, 0.01, 0.1);
    EXPECT_GT(std::abs(expected / plain - 1.0), 0.01);
    EXPECT_NEAR(sum.objective / expected, 1.0, 2e-6);
    const std::vector<double> gradient = reference::finite_difference(
        [&](const std::vector<double>& values) {
          return 0.5 * objective(decoder, values, batch, 0.01, 0.1);
        },
        flat_values(decoder));
    EXPECT_LT(reference::relative_error(flat_gradients(decoder), gradient), 1e-5)
        << "tied: " << tied;
  }
}

TEST(StepOptions, OffByDefault) {
  Decoder decoder(small_config(true));
  randomize(decoder);
  decoder.enable_gradients();
  const Batch batch = packed_batch(decoder.config());
  const LossSum sum = decoder.forward_backward(batch, {});
  EXPECT_EQ(sum.objective, sum.loss);
  EXPECT_EQ(sum.loss, decoder.forward(batch).loss);
}

TEST(StepOptions, LogProbabilitiesAreThoseOfScore) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  decoder.enable_gradients();
  Batch batch = packed_batch(decoder.config());
  const TokenScores scores = decoder.score(batch);
  std::vector<float> log_prob(batch.tokens.size(), 7.0F);
  const StepOptions options{.z_loss = 0.01, .label_smoothing = 0.1, .log_prob = log_prob};
  static_cast<void>(decoder.forward_backward(batch, options));
  EXPECT_EQ(log_prob, scores.log_prob);
  std::fill(batch.targets.begin(), batch.targets.end(), -1);
  static_cast<void>(decoder.forward_backward(batch, options));
  EXPECT_EQ(log_prob, std::vector<float>(batch.tokens.size(), 0.0F));
}

/// Every token at most once, so that noise on a place is noise on a row of the table: two documents
/// of 3 and 6 tokens with one of padding, then one of 10.
Batch distinct_batch(const DecoderConfig& config) {
  Batch batch = plain_batch(config, 2, 10, 9);
  for (std::size_t i = 0; i < 20; ++i) {
    batch.tokens[i] = static_cast<std::int32_t>((7 * i + 3) % 23);
    if (i < 10) batch.documents[i] = i < 3 ? 0 : (i < 9 ? 1 : -1);
  }
  batch.noise = {.seed = 4, .step = 6, .first_row = 3};
  return batch;
}

TEST(StepOptions, NeftuneIsNoiseOnTheEmbeddingsScaledByTheDocumentsLength) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  decoder.enable_gradients();
  const Batch batch = distinct_batch(decoder.config());
  const LossSum sum = decoder.forward_backward(batch, {.neftune_alpha = 5.0});
  std::vector<double> values = flat_values(decoder);
  const double plain = reference::decoder_loss(decoder.config(), values, batch);
  for (std::size_t i = 0; i < 20; ++i) {
    if (batch.documents[i] < 0) continue;
    const double length = i >= 10 ? 10.0 : (i < 3 ? 3.0 : 6.0);
    std::vector<float> noise(12, 0.0F);
    ops::add_uniform_noise(
        {std::span(noise), {1, 12}},
        ops::row_key(4, 6, 0, i < 10 ? 3 : 4, static_cast<std::int64_t>(i % 10), 12),
        static_cast<float>(5.0 / std::sqrt(length * 12.0)));
    for (std::size_t c = 0; c < 12; ++c) {
      values[static_cast<std::size_t>(batch.tokens[i]) * 12 + c] += noise[c];
    }
  }
  const double expected = reference::decoder_loss(decoder.config(), values, batch);
  EXPECT_GT(std::abs(expected / plain - 1.0), 0.01);
  EXPECT_NEAR(sum.loss / expected, 1.0, 2e-6);
  // Only while training.
  EXPECT_NEAR(decoder.forward(batch).loss / plain, 1.0, 2e-6);
}

TEST(StepOptions, NeftuneFollowsTheRowsThroughAnyCut) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  decoder.enable_gradients();
  const Batch whole = distinct_batch(decoder.config());
  const double together = decoder.forward_backward(whole, {.neftune_alpha = 5.0}).loss;
  double apart = 0.0;
  for (std::int64_t row = 0; row < 2; ++row) {
    Batch part;  // with more padding than in the whole
    part.rows = 1;
    part.length = 13;
    const auto cut = [&](const std::vector<std::int32_t>& all, std::int32_t padding) {
      std::vector<std::int32_t> some(all.begin() + row * 10, all.begin() + (row + 1) * 10);
      some.resize(13, padding);
      return some;
    };
    part.tokens = cut(whole.tokens, 0);
    part.targets = cut(whole.targets, -1);
    part.positions = cut(whole.positions, 0);
    part.documents = cut(whole.documents, -1);
    part.noise = {.seed = 4, .step = 6, .first_row = 3 + row};
    apart += decoder.forward_backward(part, {.neftune_alpha = 5.0}).loss;
  }
  EXPECT_NEAR(apart / together, 1.0, 1e-6);
  Batch later = whole;
  later.noise.step = 7;
  const double other = decoder.forward_backward(later, {.neftune_alpha = 5.0}).loss;
  EXPECT_GT(std::abs(other / together - 1.0), 1e-3);
}

}  // namespace
}  // namespace nativo::model
