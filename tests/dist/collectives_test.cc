#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "dist/cases.h"
#include "dist/threads.h"

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
