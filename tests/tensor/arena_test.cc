#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace nativo::tensor {
namespace {

TEST(Arena, SlotsAreAlignedApartAndCounted) {
  ArenaPlan plan;
  const auto a = plan.add<float>("weights", {3, 5});
  const auto b = plan.add<std::int32_t>("ids", {7});
  const auto c = plan.add<float>("weights", {0});
  const auto d = plan.add<double>("sums", {2, 2, 2});
  EXPECT_EQ(plan.bytes(), 64U + 64U + 0U + 64U);
  ASSERT_EQ(plan.purposes().size(), 3U);
  EXPECT_EQ(plan.purposes()[0].name, "weights");
  EXPECT_EQ(plan.purposes()[0].bytes, 64U);
  Arena arena;
  arena.reserve(plan, "a test");
  arena.zero();
  const View<float> weights = arena.view<float>(a);
  const View<std::int32_t> ids = arena.view<std::int32_t>(b);
  const View<double> sums = arena.view<double>(d);
  EXPECT_EQ(arena.view<float>(c).elements(), 0);
  for (const void* start : {static_cast<void*>(weights.data()), static_cast<void*>(ids.data()),
                            static_cast<void*>(sums.data())}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(start) % kAlignment, 0U);
  }
  std::ranges::fill(weights.span(), 1.0F);
  std::ranges::fill(ids.span(), 7);
  std::ranges::fill(sums.span(), 2.0);
  EXPECT_EQ(std::ranges::count(weights.span(), 1.0F), 15);
  EXPECT_EQ(std::ranges::count(ids.span(), 7), 7);
}

TEST(Arena, KeepsItsMemoryWhileASmallerPlanFits) {
  ArenaPlan large;
  const auto slot = large.add<float>("x", {1000});
  ArenaPlan small;
  static_cast<void>(small.add<float>("x", {10}));
  Arena arena;
  arena.reserve(large, "a test");
  const float* before = arena.view<float>(slot).data();
  arena.reserve(small, "a test");
  EXPECT_EQ(arena.view<float>(slot).data(), before);
}

TEST(Arena, MoreThanTheMachineHasIsTryAgain) {
  ArenaPlan plan;
  static_cast<void>(plan.add<float>("x", {std::int64_t{1} << 50}));
  Arena arena;
  try {
    arena.reserve(plan, "the parameters");
    FAIL() << "4 PiB were given out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_NE(std::string(error.what()).find("the parameters"), std::string::npos);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(Arena, AvailableMemoryIsAPlausibleNumber) {
  EXPECT_GT(available_memory(), std::size_t{1} << 20);
  EXPECT_LT(available_memory(), std::size_t{1} << 50);
}

TEST(View, RowsAreAWindow) {
  std::array<float, 12> memory{};
  for (std::size_t i = 0; i < 12; ++i) memory[i] = static_cast<float>(i);
  const View<const float> whole(std::span<const float>(memory), {4, 3});
  const View<const float> part = whole.rows(1, 2);
  EXPECT_EQ(part.shape(), (Shape{2, 3}));
  EXPECT_EQ(part.data()[0], 3.0F);
  EXPECT_EQ(whole.rows(4, 0).elements(), 0);
}

}  // namespace
}  // namespace nativo::tensor
