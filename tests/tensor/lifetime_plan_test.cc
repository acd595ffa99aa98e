#include "tensor/lifetime_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace nativo::tensor {
namespace {

TEST(LifetimePlan, WhatIsNeverNeededTogetherSharesItsPlace) {
  LifetimePlan plan;
  const auto a = plan.add<float>("x", {16}, {0, 1});
  const auto b = plan.add<float>("x", {16}, {2, 3});
  const auto both = plan.add<float>("y", {32}, {1, 2});
  plan.place();
  EXPECT_EQ(plan.bytes(), 64U + 128U);
  EXPECT_EQ(plan.slot(a).offset, plan.slot(b).offset);
  EXPECT_NE(plan.slot(a).offset, plan.slot(both).offset);
  EXPECT_EQ(plan.slot(both).shape, Shape{32});
}

TEST(LifetimePlan, PurposesAreCountedAtTheFullestMoment) {
  LifetimePlan plan;
  static_cast<void>(plan.add<float>("x", {16}, {0, 9}));
  static_cast<void>(plan.add<float>("y", {64}, {2, 3}));
  static_cast<void>(plan.add<float>("y", {32}, {5, 6}));
  plan.place();
  const auto all = plan.fullest({0, 9});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].bytes, 64U);
  EXPECT_EQ(all[1].bytes, 256U);
  EXPECT_EQ(plan.fullest({4, 9})[1].bytes, 128U);
  EXPECT_EQ(plan.fullest({6, 9})[1].bytes, 128U);
  EXPECT_EQ(plan.fullest({7, 9})[1].bytes, 0U);
}

/// Random plans: no two tensors overlap in both time and place, and the block is near what is
/// needed at the fullest moment.
TEST(LifetimePlan, NothingOverlapsInTimeAndPlace) {
  Rng rng(3);
  for (int round = 0; round < 50; ++round) {
    LifetimePlan plan;
    struct Entry {
      LifetimePlan::Handle handle;
      Lifetime lifetime;
    };
    std::vector<Entry> entries;
    for (int i = 0; i < 40; ++i) {
      const auto first = static_cast<std::int64_t>(rng.below(30));
      const Lifetime lifetime{first, first + static_cast<std::int64_t>(rng.below(10))};
      const auto size = static_cast<std::int64_t>(rng.below(2000));
      entries.push_back({plan.add<float>("x", {size}, lifetime), lifetime});
    }
    plan.place();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto a = plan.slot(entries[i].handle);
      const std::size_t a_end = a.offset + 4 * static_cast<std::size_t>(a.shape.elements());
      EXPECT_EQ(a.offset % kAlignment, 0U);
      EXPECT_LE(a_end, plan.bytes());
      for (std::size_t j = 0; j < i; ++j) {
        const auto b = plan.slot(entries[j].handle);
        const std::size_t b_end = b.offset + 4 * static_cast<std::size_t>(b.shape.elements());
        const bool in_time = entries[i].lifetime.first <= entries[j].lifetime.last &&
                             entries[j].lifetime.first <= entries[i].lifetime.last;
        const bool in_place = a.offset < b_end && b.offset < a_end;
        EXPECT_FALSE(in_time && in_place) << round << " " << i << " " << j;
      }
    }
    EXPECT_GE(plan.bytes(), plan.fullest({0, 100})[0].bytes);
    EXPECT_LE(plan.bytes(), 1.3 * static_cast<double>(plan.fullest({0, 100})[0].bytes));
  }
}

}  // namespace
}  // namespace nativo::tensor
