#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "dist/cases.h"
#include "dist/threads.h"
#include "tensor/dtype.h"

namespace nativo::dist {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using threads::run_ranks;

TEST(CollectivesTest, OneProcessIsItsOwnWorld) {
  const auto self = make_self();
  check_collectives(*self, {0});
  EXPECT_EQ(self->split(3, 1)->size(), 1);
}

TEST(CollectivesTest, DoAsThePlainReference) {
  for (const std::vector<int>& nodes : {std::vector<int>{0, 0},
                                        {0, 0, 0},
                                        {0, 0, 0, 0, 0},
                                        {0, 1},
                                        {0, 0, 1, 1},
                                        {0, 1, 0, 1},
                                        {0, 0, 0, 1},
                                        {0, 1, 1, 1, 2}}) {
    // Small stages and messages: many rounds.
    for (const NodeSettings& settings : {NodeSettings{}, NodeSettings{1500, 700}}) {
      run_ranks(
          nodes, [&](Communicator& communicator) { check_collectives(communicator, nodes); },
          settings);
    }
  }
}

TEST(CollectivesTest, PartsOfAWorldAreWorlds) {
  run_ranks({0, 0, 1, 1}, [](Communicator& world) {
    // Columns of a 2 x 2 grid, numbered backwards.
    const auto column = world.split(world.rank() % 2, -world.rank());
    ASSERT_EQ(column->size(), 2);
    EXPECT_EQ(column->rank(), world.rank() < 2 ? 1 : 0);
    check_collectives(*column, {0, 1});
    const auto row = world.split(world.rank() / 2, 0);
    check_collectives(*row, {0, 0});
    const auto alone = world.split(world.rank(), 0);
    check_collectives(*alone, {0});
    std::int64_t one = 1;
    world.all_reduce(std::span(&one, 1));
    EXPECT_EQ(one, 4);
  });
}

float rounded(float value) { return tensor::bf16_to_f32(tensor::f32_to_bf16(value)); }

/// Numbers of a rank, of magnitudes that make another order give other bits.
std::vector<float> numbers_of(int rank, std::size_t count) {
  Rng rng(11, static_cast<std::uint64_t>(rank));
  std::vector<float> numbers(count);
  for (float& number : numbers) {
    number = static_cast<float>((rng.uniform() - 0.5) * (rank % 2 == 0 ? 1.0 : 1e-2));
  }
  return numbers;
}

/// Ranks' sums in f32, rounded once a node, added in f32; and what that may differ by.
struct CrossingSums {
  std::vector<float> sums;
  std::vector<double> exact;
  std::vector<double> bound;  ///< 2^-8 of each node's sum, and a little of f32's own
};

CrossingSums crossing_sums(const std::vector<int>& nodes, std::size_t count) {
  CrossingSums result{std::vector<float>(count), std::vector<double>(count),
                      std::vector<double>(count)};
  for (int node = 0; node <= nodes.back(); ++node) {
    std::vector<float> sum(count);
    for (std::size_t r = 0; r < nodes.size(); ++r) {
      if (nodes[r] != node) continue;
      const std::vector<float> numbers = numbers_of(static_cast<int>(r), count);
      for (std::size_t i = 0; i < count; ++i) {
        sum[i] += numbers[i];
        result.exact[i] += static_cast<double>(numbers[i]);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const float there = nodes.back() > 0 ? rounded(sum[i]) : sum[i];
      result.sums[i] = node == 0 ? there : result.sums[i] + there;
      result.bound[i] += std::abs(static_cast<double>(sum[i])) / 256.0 + 1e-6;
    }
  }
  return result;
}

TEST(CollectivesTest, GradientsCrossInHalfTheBytesAndAreSummedInF32) {
  constexpr std::size_t kCount = 3001;
  for (const std::vector<int>& nodes : {std::vector<int>{0, 0, 0}, {0, 0, 1, 1}, {0, 1, 1, 2}}) {
    const CrossingSums wanted = crossing_sums(nodes, kCount);
    const bool crosses = nodes.back() > 0;
    std::size_t sent[2] = {};
    for (const bool as_bf16 : {false, true}) {
      sent[as_bf16 ? 1 : 0] = run_ranks(
          nodes,
          [&](Communicator& ranks) {
            const auto memory = ranks.allocate(kCount * sizeof(float), "a test");
            std::vector<float> own(kCount);
            const auto parts = even_parts(kCount, ranks.size());
            const Part mine = parts[static_cast<std::size_t>(ranks.rank())];
            for (const std::span<float> values :
                 {std::span(own), std::span(reinterpret_cast<float*>(memory.data()), kCount)}) {
              const Values moved = as_bf16 ? Values::crossing_as_bf16(values) : Values(values);
              const std::vector<float> numbers = numbers_of(ranks.rank(), kCount);
              std::ranges::copy(numbers, values.begin());
              ranks.start_reduce_scatter(moved, parts).wait();
              for (std::size_t i = mine.begin; i < mine.begin + mine.count; ++i) {
                EXPECT_NEAR(values[i], wanted.exact[i], wanted.bound[i]);
                if (as_bf16) {
                  ASSERT_EQ(values[i], wanted.sums[i]) << i;
                }
              }
              std::ranges::copy(numbers, values.begin());
              ranks.all_reduce(moved);
              for (std::size_t i = 0; as_bf16 && i < kCount; ++i) {
                ASSERT_EQ(values[i], crosses ? rounded(wanted.sums[i]) : wanted.sums[i]) << i;
              }
            }
          },
          NodeSettings{6000, 1500});
    }
    EXPECT_EQ(2 * sent[1], sent[0]);
    EXPECT_EQ(sent[0] > 0, crosses);
  }
}

/// What rank 0 is told when `absent` do not come.
std::string failure(const std::vector<int>& nodes, const std::vector<int>& absent) {
  std::string said;
  run_ranks(nodes, [&](Communicator& communicator) {
    communicator.barrier();
    communicator.set_timeout(0.3);
    if (std::ranges::find(absent, communicator.rank()) != absent.end()) return;
    float value = 1.0F;
    try {
      communicator.start_all_reduce(std::span(&value, 1)).wait();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain);
      if (communicator.rank() == 0) said = error.what();
    }
    EXPECT_THROW(communicator.barrier(), Error) << "of no use any more";
  });
  return said;
}

TEST(CollectivesTest, WhoDoesNotComeIsNamed) {
  EXPECT_THAT(failure({0, 0, 0, 0}, {1, 3}),
              AllOf(HasSubstr("all_reduce"), HasSubstr("ranks 1, 3")));
  EXPECT_THAT(failure({0, 1}, {1}), HasSubstr("rank 1"));
}

TEST(CollectivesTest, NeighboursHandEachOtherWhatTheyHave) {
  for (const std::size_t message : {std::size_t{1} << 20, std::size_t{7}}) {
    run_ranks(
        {0, 0, 1},
        [](Communicator& ranks) {  // a ring, of messages as long as the sender's number
          const auto bytes_of = [](int rank) {
            return std::vector<std::byte>(static_cast<std::size_t>(100 * rank),
                                          std::byte(rank + 1));
          };
          const int to = (ranks.rank() + 1) % 3;
          const int from = (ranks.rank() + 2) % 3;
          std::vector<std::byte> mine = bytes_of(ranks.rank());
          std::vector<std::byte> theirs(bytes_of(from).size());
          ranks.send_receive(std::span(mine), to, std::span(theirs), from);
          EXPECT_EQ(theirs, bytes_of(from));
          // From the last to the first alone.
          std::vector<std::byte> last(200);
          ranks.send_receive(std::span(mine), ranks.rank() == 2 ? 0 : -1, std::span(last),
                             ranks.rank() == 0 ? 2 : -1);
          EXPECT_EQ(last == bytes_of(2), ranks.rank() == 0);
        },
        NodeSettings{6000, message});
  }
}

TEST(CollectivesTest, WhatIsWaitedForIsCounted) {
  run_ranks(2, [](Communicator& ranks) {
    float value = 1.0F;
    if (ranks.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ranks.start_all_reduce(std::span(&value, 1)).wait();
    if (ranks.rank() == 0) {
      EXPECT_GT(ranks.waited(OperationKind::kAllReduce), 0.02);
    }
    EXPECT_EQ(ranks.waited(OperationKind::kAllGather), 0.0);
  });
}

TEST(CollectivesTest, WhatIsAbandonedDoesNotWait) {
  run_ranks({0, 1}, [](Communicator& ranks) {
    if (ranks.rank() == 1) return;
    std::vector<std::byte> theirs(10);
    std::thread other([&] { ranks.abandon(); });
    EXPECT_THROW(ranks.send_receive(std::span<std::byte>(), -1, std::span(theirs), 1), Error);
    other.join();
  });
}

TEST(CollectivesDeathTest, OtherCollectivesThanTheOthersAreABugThatIsNoticed) {
  EXPECT_DEATH(run_ranks(2,
                         [](Communicator& communicator) {
                           std::vector<float> values(communicator.rank() == 0 ? 600 : 700);
                           communicator.all_reduce(std::span(values));
                         }),
               "same collective");
}

TEST(EvenPartsTest, CoverAllOnce) {
  EXPECT_EQ(even_parts(7, 3), (std::vector<Part>{{0, 3}, {3, 2}, {5, 2}}));
  EXPECT_EQ(even_parts(1, 2), (std::vector<Part>{{0, 1}, {1, 0}}));
}

}  // namespace
}  // namespace nativo::dist
