#include "text/ngram_matches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "text/chrf.h"
#include "text/white_space.h"

namespace nativo::text {
namespace {

using Symbols = std::vector<std::uint32_t>;
using ::testing::ElementsAre;

/// The definition, with whole n-grams as keys.
std::map<Symbols, std::uint64_t> ngrams(const Symbols& sequence, std::size_t n) {
  std::map<Symbols, std::uint64_t> counts;
  for (std::size_t i = 0; i + n <= sequence.size(); ++i) {
    ++counts[Symbols(sequence.begin() + static_cast<std::ptrdiff_t>(i),
                     sequence.begin() + static_cast<std::ptrdiff_t>(i + n))];
  }
  return counts;
}

std::vector<std::uint64_t> plain_matches(const Symbols& sequence,
                                         const std::vector<Symbols>& others, std::size_t order) {
  std::vector<std::uint64_t> sums;
  for (std::size_t n = 1; n <= order; ++n) {
    std::uint64_t sum = 0;
    for (const auto& [ngram, count] : ngrams(sequence, n)) {
      std::uint64_t most = 0;
      for (const Symbols& other : others) most = std::max(most, ngrams(other, n)[ngram]);
      sum += std::min(count, most);
    }
    sums.push_back(sum);
  }
  return sums;
}

TEST(NgramCounts, EqualsTheDefinition) {
  Rng rng(7, 0);
  const auto sequence = [&](std::size_t length, std::uint64_t symbols) {
    Symbols all(length);
    // Far apart, too: whole code points and word numbers are both symbols.
    for (std::uint32_t& s : all) s = static_cast<std::uint32_t>(rng.below(symbols) * 0x10001U);
    return all;
  };
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t symbols = 1 + rng.below(12);
    const Symbols mine = sequence(rng.below(60), symbols);
    std::vector<Symbols> others(rng.below(4));
    for (Symbols& other : others) other = sequence(rng.below(60), symbols);
    EXPECT_EQ(NgramCounts(mine, 6).matches(others), plain_matches(mine, others, 6));
  }
}

TEST(NgramCounts, GrowsWithLongSequences) {
  Symbols rising(20000);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<std::uint32_t>(i);
  const std::vector<Symbols> others = {rising};
  EXPECT_THAT(NgramCounts(rising, 3).matches(others), ElementsAre(20000, 19999, 19998));
}

TEST(Chrf, IsBoundedAndSymmetricOnlyWhereItShouldBe) {
  EXPECT_DOUBLE_EQ(chrf("uguale identico", "uguale identico"), 100.0);
  EXPECT_DOUBLE_EQ(chrf("uguale identico", "ugualeidentico"), 100.0);  // white space is left out
  EXPECT_EQ(chrf("abc", "xyz"), 0.0);
  EXPECT_EQ(chrf("", ""), 0.0);
  EXPECT_GT(chrf("il gatto dorme sul divano", "il gatto dorme"),  // recall counts twice
            chrf("il gatto dorme", "il gatto dorme sul divano"));
}

TEST(WhiteSpace, SplitsAsPythonDoes) {
  EXPECT_THAT(split_white_space(" a\u00a0b\u2003\tc\x1c\n"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_white_space("\u200b"), ElementsAre("\u200b"));  // no white space for Python
  EXPECT_THAT(split_white_space("a\xff z"), ElementsAre("a\xff", "z"));
  EXPECT_TRUE(split_white_space("  ").empty());
}

}  // namespace
}  // namespace nativo::text
