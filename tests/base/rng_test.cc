// Known answers, and that position, stream and seed are all that decides.
#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace nativo {
namespace {

using Block = std::array<std::uint32_t, 4>;

// Random123's kat_vectors, philox4x32 with 10 rounds.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, FirstNumberIsTheBlocksFirstHalf) { EXPECT_EQ(Rng(0).next(), 0xe169c58d6627e8d5U); }

TEST(Rng, ContinuesFromItsPosition) {
  Rng whole(3, 4);
  for (int i = 0; i < 10; ++i) (void)whole.next();
  Rng resumed(3, 4, whole.position());
  EXPECT_EQ(whole.position(), 10U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(resumed.next(), whole.next());
}

TEST(Rng, SeedAndStreamBothMatter) {
  EXPECT_NE(Rng(1, 0).next(), Rng(0, 1).next());
  EXPECT_NE(Rng(1, 0).next(), Rng(std::uint64_t{1} << 32, 0).next());
  EXPECT_NE(Rng(0, 1).next(), Rng(0, std::uint64_t{1} << 32).next());
}

TEST(Rng, BelowIsUniform) {
  Rng rng(5);
  std::array<int, 7> counts{};
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) ++counts[rng.below(7)];
  double chi2 = 0;
  for (const int count : counts) chi2 += (count - 10000.0) * (count - 10000.0) / 10000.0;
  EXPECT_LT(chi2, 22.46);  // 6 degrees of freedom, p = 0.001
  EXPECT_EQ(rng.below(1), 0U);
  // More than half of all numbers are refused here; those that are not stay below the bound.
  constexpr std::uint64_t kBound = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(rng.below(kBound), kBound);
}

TEST(Rng, UniformAndNormalHaveTheirMoments) {
  Rng rng(6);
  constexpr int kDraws = 100000;
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    const double z = rng.normal();
    normal_sum += z;
    normal_squares += z * z;
  }
  // Four standard errors: 1/sqrt(12 n), 1/sqrt(n), sqrt(2/n).
  EXPECT_NEAR(sum / kDraws, 0.5, 4 * 0.000913);
  EXPECT_NEAR(normal_sum / kDraws, 0.0, 4 * 0.00316);
  EXPECT_NEAR(normal_squares / kDraws, 1.0, 4 * 0.00447);
}

TEST(Permutation, HoldsEveryIndexOnceAndDependsOnSeedAndStream) {
  const std::vector<std::size_t> order = permutation(1000, 1, 2);
  std::vector<std::size_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
  EXPECT_NE(order, sorted);
  EXPECT_EQ(order, permutation(1000, 1, 2));
  EXPECT_NE(order, permutation(1000, 1, 3));
  EXPECT_NE(order, permutation(1000, 2, 2));
  EXPECT_TRUE(permutation(0, 1, 1).empty());
}

}  // namespace
}  // namespace nativo
