// When a step is reused, continued or run again, and what it says about it.
#include "pipeline/step.h"

#include <gmock/gmock.h>

#include <fstream>

#include "io/file.h"
#include "io/temp_folder.h"
#include "pipeline/digest_cache.h"

namespace nativo::pipeline {
namespace {

using testing::HasSubstr;

data::StageSpec spec_with(Json options, std::string input_digest = "aa") {
  data::StageSpec spec{.name = "thing", .key = {}, .version = 1, .options = std::move(options)};
  spec.inputs.push_back({{"name", "ingest"}, {"sha256", std::move(input_digest)}});
  return keyed(std::move(spec));
}

class StepTest : public testing::Test {
 protected:
  StepTest() {
    step_.name = "thing";
    step_.folder = folder_.path() / "thing";
  }

  void complete(const data::StageSpec& spec) {
    fs::create_directories(step_.folder);
    io::write_file_atomically(step_.folder / "out.bin", "result");
    complete_step(step_.folder, spec, 0.0);
  }

  io::TempFolder folder_;
  Step step_;
};

TEST_F(StepTest, RunsOnceThenIsReused) {
  const data::StageSpec spec = spec_with({{"a", 1}});
  EXPECT_EQ(plan_step(step_, spec).action, "run");
  EXPECT_EQ(plan_step(step_, spec).reason, "never ran");
  complete(spec);
  EXPECT_EQ(plan_step(step_, spec).action, "reuse");
}

TEST_F(StepTest, NamesTheOptionThatChanged) {
  complete(spec_with({{"a", 1}, {"table", {{"b", 2.5}}}}));
  const PlanLine line = plan_step(step_, spec_with({{"a", 1}, {"table", {{"b", 3.5}}}}));
  EXPECT_EQ(line.action, "run");
  EXPECT_EQ(line.reason, "table.b 2.5 -> 3.5");
}

TEST_F(StepTest, NamesTheInputThatChanged) {
  complete(spec_with({{"a", 1}}, "aa"));
  const PlanLine line = plan_step(step_, spec_with({{"a", 1}}, "bb"));
  EXPECT_EQ(line.action, "run");
  EXPECT_EQ(line.reason, "input changed: ingest");
}

TEST_F(StepTest, SaysWhenTheCodeChanged) {
  complete(spec_with({{"a", 1}}));
  data::StageSpec newer = spec_with({{"a", 1}});
  newer.version = 2;
  newer = keyed(std::move(newer));
  EXPECT_THAT(plan_step(step_, newer).reason, HasSubstr("version 1 -> 2"));
}

TEST_F(StepTest, AMissingFileRunsItAgain) {
  const data::StageSpec spec = spec_with({{"a", 1}});
  complete(spec);
  fs::remove(step_.folder / "out.bin");
  EXPECT_EQ(plan_step(step_, spec).action, "run");
  EXPECT_THAT(plan_step(step_, spec).reason, HasSubstr("missing"));
}

TEST_F(StepTest, UnfinishedBlocksAreContinued) {
  const data::StageSpec spec = spec_with({{"a", 1}});
  fs::create_directories(step_.folder.native() + ".part-" + spec.key.substr(0, 12));
  EXPECT_EQ(plan_step(step_, spec).action, "continue");
}

TEST_F(StepTest, OutputDigestFollowsContentAndPrefix) {
  complete(spec_with({{"a", 1}}));
  const std::string before = output_digest(step_.folder);
  EXPECT_NE(before, output_digest(step_.folder, "other"));
  io::write_file_atomically(step_.folder / "out.bin", "another result");
  complete_step(step_.folder, spec_with({{"a", 1}}), 0.0);
  EXPECT_NE(before, output_digest(step_.folder));
}

TEST(DigestCacheTest, RemembersAndNoticesChanges) {
  const io::TempFolder folder;
  const fs::path file = folder.path() / "data" / "x.txt";
  fs::create_directories(file.parent_path());
  io::write_file_atomically(file, "one");
  std::string first;
  {
    DigestCache cache(folder.path() / "digests.json");
    first = cache.file_digest(file);
    cache.save();
  }
  DigestCache cache(folder.path() / "digests.json");
  EXPECT_EQ(cache.file_digest(file), first);
  io::write_file_atomically(file, "two!");
  EXPECT_NE(cache.file_digest(file), first);
  const Json list = cache.digests(folder.path() / "data");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["name"], "x.txt");
}

TEST(DigestCacheTest, ADamagedCacheIsOnlyASlowStart) {
  const io::TempFolder folder;
  io::write_file_atomically(folder.path() / "digests.json", "{\"broken");
  io::write_file_atomically(folder.path() / "x.txt", "one");
  DigestCache cache(folder.path() / "digests.json");
  EXPECT_EQ(cache.file_digest(folder.path() / "x.txt").size(), 64U);
}

}  // namespace
}  // namespace nativo::pipeline
