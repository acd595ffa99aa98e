#include "generate/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace nativo::generate {
namespace {

SamplerOptions plain(double temperature = 1.0) {
  SamplerOptions options = greedy(16);
  options.temperature = temperature;
  return options;
}

/// How often each of four tokens is drawn in `draws` positions.
std::array<double, 4> shares(const SamplerOptions& options, std::span<const float> logits,
                             int draws = 20000) {
  Sampler sampler(options);
  std::array<double, 4> counts{};
  for (int i = 0; i < draws; ++i) {
    counts[static_cast<std::size_t>(sampler.draw(logits, {}, static_cast<std::uint64_t>(i)))] += 1;
  }
  for (double& count : counts) count /= draws;
  return counts;
}

const std::array<float, 4> kLogits = {std::log(0.1F), std::log(0.4F), std::log(0.2F),
                                      std::log(0.3F)};
// Three standard deviations of a share of 20,000 draws at p = 0.5 are 0.0106.
constexpr double kTolerance = 0.011;

TEST(Sampler, GreedyTakesTheBestAndTheLowestIdAmongEquals) {
  Sampler sampler(plain(0.0));
  EXPECT_EQ(sampler.draw(kLogits, {}, 0), 1);
  EXPECT_EQ(sampler.draw(std::array{1.0F, 3.0F, 3.0F}, {}, 0), 1);
}

TEST(Sampler, DrawsInProportionToTheSoftmax) {
  const auto got = shares(plain(), kLogits);
  EXPECT_NEAR(got[0], 0.1, kTolerance);
  EXPECT_NEAR(got[1], 0.4, kTolerance);
  EXPECT_NEAR(got[2], 0.2, kTolerance);
  EXPECT_NEAR(got[3], 0.3, kTolerance);
}

TEST(Sampler, TemperatureSharpens) {
  // At 0.5 the weights are squared: .01 .16 .04 .09, sum .30.
  const auto got = shares(plain(0.5), kLogits);
  EXPECT_NEAR(got[1], 0.16 / 0.30, kTolerance);
  EXPECT_NEAR(got[0], 0.01 / 0.30, kTolerance);
}

TEST(Sampler, TopKKeepsTheKBest) {
  SamplerOptions options = plain();
  options.top_k = 2;
  const auto got = shares(options, kLogits);
  EXPECT_NEAR(got[1], 4.0 / 7, kTolerance);
  EXPECT_NEAR(got[3], 3.0 / 7, kTolerance);
  EXPECT_EQ(got[0] + got[2], 0.0);
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  SamplerOptions options = plain();
  options.top_p = 0.65;  // .4 + .3
  const auto got = shares(options, kLogits);
  EXPECT_NEAR(got[1], 4.0 / 7, kTolerance);
  EXPECT_EQ(got[0] + got[2], 0.0);
  options.top_p = 0.0;
  EXPECT_EQ(shares(options, kLogits, 100)[1], 1.0);
}

TEST(Sampler, MinPDropsTheUnlikely) {
  SamplerOptions options = plain();
  options.min_p = 0.6;  // .4 * .6 = .24: keeps .4 and .3
  const auto got = shares(options, kLogits);
  EXPECT_NEAR(got[3], 3.0 / 7, kTolerance);
  EXPECT_EQ(got[0] + got[2], 0.0);
}

TEST(Sampler, PenaltyLowersWhatWasSeenWhateverItsSign) {
  SamplerOptions options = plain(0.0);
  options.repetition_penalty = 2.0;
  Sampler sampler(options);
  const std::array<text::TokenId, 2> history = {0, 999};
  EXPECT_EQ(sampler.draw(std::array{3.0F, 2.0F}, history, 0), 1);
  EXPECT_EQ(sampler.draw(std::array{-1.0F, -1.5F}, history, 0), 1);
  EXPECT_EQ(sampler.draw(std::array{3.0F, 1.0F}, history, 0), 0);
}

TEST(Sampler, NeverDrawsWhatIsNotANumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const auto got = shares(plain(), std::array{nan, -5.0F, inf, -inf}, 1000);
  EXPECT_EQ(got[1], 1.0);
  Sampler sampler(plain());
  EXPECT_THROW(static_cast<void>(sampler.draw(std::array{nan, nan}, {}, 0)), Error);
}

TEST(Sampler, DependsOnSeedAndPositionAlone) {
  SamplerOptions options = plain();
  Sampler one(options);
  Sampler other(options);
  std::vector<text::TokenId> forward;
  std::vector<text::TokenId> backward(50);
  for (std::uint64_t i = 0; i < 50; ++i) forward.push_back(one.draw(kLogits, {}, i));
  for (std::uint64_t i = 50; i-- > 0;) backward[i] = other.draw(kLogits, {}, i);
  EXPECT_EQ(forward, backward);
  options.seed = 2;
  Sampler third(options);
  std::vector<text::TokenId> different;
  for (std::uint64_t i = 0; i < 50; ++i) different.push_back(third.draw(kLogits, {}, i));
  EXPECT_NE(forward, different);
}

}  // namespace
}  // namespace nativo::generate
