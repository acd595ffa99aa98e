// The rules of the search with logits made by hand. Equality with CTranslate2 as a whole:
// translator_test.cc.
#include "generate/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace nativo::generate {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr SearchTokens kTokens{0, 1, 2, 6};  // start 0, end 1, unknown 2; 3, 4, 5 are words

/// Runs a search whose logits depend on the tokens so far.
template <class Logits>
std::vector<Hypothesis> run(const BeamSearchOptions& options, const Ids& prefix,
                            const Logits& logits_of) {
  BeamSearch search(options, kTokens, prefix, 2);
  std::map<std::int32_t, std::int32_t> token_in_slot;
  while (!search.done()) {
    std::vector<ops::BestLogits> best(search.rows());
    std::vector<float> attention;
    for (std::size_t row = 0; row < search.rows(); ++row) {
      Ids tokens;
      for (const std::int32_t slot : search.past(row)) tokens.push_back(token_in_slot.at(slot));
      for (std::size_t other = 0; other < search.rows(); ++other) {
        EXPECT_EQ(std::ranges::count(search.past(other), search.slot(row)), 0);
        EXPECT_EQ(search.slot(row) == search.slot(other), row == other);
      }
      token_in_slot[search.slot(row)] = search.token(row);
      tokens.push_back(search.token(row));
      EXPECT_EQ(tokens.size(), static_cast<std::size_t>(search.step() + 1));
      std::vector<float> logits = logits_of(tokens);
      search.edits(row).apply(0, logits);
      const ops::LogitBlock all =
          ops::scan_logits(logits, 0, search.candidates(), true, best[row].best);
      best[row].most = all.most;
      best[row].sum = all.sum;
      if (options.needs_attention()) attention.insert(attention.end(), {0.9F, 0.1F});
    }
    search.advance(best, attention);
  }
  return search.take();
}

/// Words 3, 4, 5 in turn, then the end after `length` tokens.
auto counting(std::size_t length) {
  return [length](const Ids& tokens) {
    std::vector<float> logits(6, 0.0F);
    logits[tokens.size() > length ? 1 : 3 + (tokens.size() - 1) % 3] = 5.0F;
    return logits;
  };
}

BeamSearchOptions beam(std::int64_t size) {
  BeamSearchOptions options;
  options.beam_size = size;
  options.scores = true;
  return options;
}

TEST(BeamSearch, GreedyFollowsTheBestAndScoresByLengthWithTheEnd) {
  BeamSearchOptions options = beam(1);
  options.min_length = 0;  // or the first sum lacks the end
  const auto result = run(options, {}, counting(4));
  ASSERT_EQ(result.size(), 1U);
  EXPECT_EQ(result[0].tokens, (Ids{3, 4, 5, 3}));
  EXPECT_NEAR(result[0].score, 5.0 - std::log(std::exp(5.0) + 5.0), 1e-6);
}

TEST(BeamSearch, ABeamFindsWhatGreedyMisses) {
  // 3 looks best at first but leads nowhere; 4 is certain afterwards.
  const auto logits = [](const Ids& tokens) -> std::vector<float> {
    if (tokens.size() == 1) return {0, -9, -9, 2.0F, 1.9F, -9};
    if (tokens[1] == 3 && tokens.size() == 2) return {0, 0, 0, 0, 0, 0};
    return {0, 9, 0, 0, 0, 0};
  };
  EXPECT_EQ(run(beam(1), {}, logits)[0].tokens.at(0), 3);
  EXPECT_EQ(run(beam(2), {}, logits)[0].tokens, (Ids{4}));
}

TEST(BeamSearch, LengthsPrefixesAndBans) {
  BeamSearchOptions options = beam(1);
  options.min_length = 3;
  EXPECT_EQ(run(options, {}, counting(1))[0].tokens.size(), 3U);
  options = beam(2);
  options.max_length = 2;
  EXPECT_EQ(run(options, {}, counting(9))[0].tokens, (Ids{3, 4}));
  EXPECT_EQ(run(beam(2), {5, 5}, counting(4))[0].tokens, (Ids{5, 5, 5, 3}));
  options = beam(1);
  options.max_length = 1;
  EXPECT_EQ(run(options, {5, 4, 3}, counting(4))[0].tokens, (Ids{5}));
  options = beam(1);
  options.no_repeat_ngram = 2;
  options.max_length = 8;
  const auto always_three = [](const Ids&) { return std::vector<float>{0, 0, 0, 5, 1, 0.5F}; };
  EXPECT_EQ(run(options, {}, always_three)[0].tokens, (Ids{3, 3, 4, 3, 5, 3, 0, 3}));
  options.no_repeat_ngram = 0;
  options.repetition_penalty = 6.0;  // 5 / 6 < 1
  EXPECT_EQ(run(options, {}, always_three)[0].tokens.at(1), 4);
  options = beam(1);
  options.disable_unknown = true;
  options.max_length = 1;
  EXPECT_EQ(
      run(options, {}, [](const Ids&) { return std::vector<float>{0, 0, 9, 5, 1, 0}; })[0].tokens,
      (Ids{3}));
}

TEST(BeamSearch, EqualsGoToTheLowerIdAndTheEarlierBeam) {
  BeamSearchOptions options = beam(2);
  options.num_hypotheses = 2;
  options.max_length = 1;
  const auto flat = [](const Ids&) { return std::vector<float>{-9, -9, -9, 1, 1, 1}; };
  const auto result = run(options, {}, flat);
  EXPECT_EQ(result[0].tokens, (Ids{3}));
  EXPECT_EQ(result[1].tokens, (Ids{4}));
}

TEST(BeamSearch, CoverageCountsSourceTokensLeftAlone) {
  BeamSearchOptions options = beam(1);
  options.coverage_penalty = 0.5;
  const auto with = run(options, {}, counting(1))[0];
  const auto without = run(beam(1), {}, counting(1))[0];
  // Two tokens (the end counts) with attention 0.9 and 0.1 each: log min(1.8, 1) + log 0.2.
  EXPECT_NEAR(with.score - without.score, 0.5 * std::log(0.2), 1e-6);
  EXPECT_EQ(with.attention.size(), 2U);
}

TEST(BeamSearch, RefusesWhatCannotBe) {
  BeamSearchOptions options = beam(2);
  options.num_hypotheses = 3;
  EXPECT_THROW(options.check(), Error);
  options.patience = 2.0;
  EXPECT_NO_THROW(options.check());
  options.min_length = 300;
  EXPECT_THROW(options.check(), Error);
  const auto nothing = [](const Ids&) { return std::vector<float>(6, -INFINITY); };
  EXPECT_THROW((void)run(beam(2), {}, nothing), Error);
  const auto nan = [](const Ids&) { return std::vector<float>(6, NAN); };
  EXPECT_THROW((void)run(beam(1), {}, nan), Error);
}

}  // namespace
}  // namespace nativo::generate
