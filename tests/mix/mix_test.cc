#include "mix/mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/scratch.h"

namespace nativo::mix {
namespace {

namespace fs = std::filesystem;

std::vector<data::Record> make_records(const std::string& source, std::size_t count) {
  std::vector<data::Record> records;
  for (std::size_t i = 0; i < count; ++i) {
    data::Record record;
    record.text = source + " " + std::to_string(i);
    record.lang = "it";
    record.source = source;
    record.licence = "CC0-1.0";
    record.id = data::content_id(record);
    records.push_back(record);
  }
  return records;
}

class Mix : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  data::Manifest run(const std::vector<data::Record>& records,
                     const std::map<std::string, double>& weights = {},
                     const MixOptions& options = {}, std::uint64_t seed = 1) {
    const fs::path input = folder_ / "input.jsonl";
    std::ofstream file(input);
    for (const data::Record& record : records) file << data::to_line(record) << '\n';
    file.close();
    data::RecordReader reader(std::vector<fs::path>{input});
    data::StageSpec spec{.name = "mix", .key = std::string(64, 'c'), .options = Json::object()};
    fs::remove_all(folder_ / "stage");
    data::Manifest manifest = run_mix(folder_ / "stage", spec, reader, weights, options, seed);
    EXPECT_EQ(manifest.rows_in, records.size());
    EXPECT_EQ(manifest.rows_in + manifest.rows_added, manifest.rows_out + manifest.rejected());
    kept_ = ids("records", manifest);
    heldout_ = ids("heldout", manifest);
    return manifest;
  }

  std::vector<std::string> ids(const std::string& output, const data::Manifest& manifest) {
    std::vector<std::string> all;
    if (!manifest.outputs.contains(output)) return all;
    for (const data::Record& record : data::read_all(folder_ / "stage", output)) {
      all.push_back(record.id);
    }
    return all;
  }

  fs::path folder_;
  std::vector<std::string> kept_;
  std::vector<std::string> heldout_;
};

std::set<std::string> set_of(const std::vector<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

TEST_F(Mix, WeightsTakeSharesAndCopies) {
  std::vector<data::Record> records = make_records("half", 2000);
  for (const auto& [name, rows] :
       std::map<std::string, std::size_t>{{"twice", 300}, {"none", 50}}) {
    for (data::Record& record : make_records(name, rows)) records.push_back(record);
  }
  MixOptions options;
  options.heldout_share = 0.0;
  const data::Manifest manifest =
      run(records, {{"half", 0.5}, {"twice", 2.0}, {"none", 0.0}}, options);
  const Json& sources = manifest.detail["splits"]["records"]["sources"];
  // Binomial(2000, .5): five standard deviations are 112.
  EXPECT_NEAR(sources["half"]["rows"].get<double>(), 1000.0, 112.0);
  EXPECT_EQ(sources["twice"]["rows"], 600);
  EXPECT_FALSE(sources.contains("none"));
  EXPECT_EQ(manifest.rows_added, 300U);
  EXPECT_EQ(manifest.detail["copies"], 300);
  std::size_t copies = 0;
  for (const data::Record& record : data::read_all(folder_ / "stage")) {
    if (record.lineage.empty()) continue;
    ++copies;
    EXPECT_EQ(record.lineage.back()["copy"], 2);
  }
  EXPECT_EQ(copies, 300U);
}

TEST_F(Mix, HeldOutRecordsAreNeverTrainedOn) {
  std::vector<data::Record> records = make_records("a", 1000);
  const std::vector<data::Record> again = make_records("a", 100);  // equal content twice
  records.insert(records.end(), again.begin(), again.end());
  run(records, {{"a", 3.0}});
  EXPECT_GT(heldout_.size(), 20U);
  const std::set<std::string> kept = set_of(kept_);
  for (const std::string& id : heldout_) EXPECT_FALSE(kept.contains(id));
}

TEST_F(Mix, TheSplitIsStableWhenOtherDataChanges) {
  std::vector<data::Record> records = make_records("a", 1000);
  run(records);
  const std::set<std::string> before = set_of(heldout_);
  for (data::Record& record : make_records("b", 500)) records.push_back(record);
  std::ranges::reverse(records);
  run(records);
  std::set<std::string> after = set_of(heldout_);
  for (const std::string& id : before) EXPECT_TRUE(after.contains(id));
  run(records, {}, {}, 2);
  EXPECT_NE(set_of(heldout_), after) << "another seed, another split";
}

TEST_F(Mix, MinHeldoutIsMetUpToHalf) {
  MixOptions options;
  options.min_heldout = 10;
  run(make_records("a", 60), {}, options);
  EXPECT_GE(heldout_.size(), 10U);
  EXPECT_LE(heldout_.size(), 15U);
  run(make_records("a", 6), {}, options);
  EXPECT_EQ(heldout_.size(), 3U);
  run(make_records("a", 1), {}, options);
  EXPECT_TRUE(heldout_.empty());
  EXPECT_EQ(kept_.size(), 1U);
  options.heldout_share = 0.0;
  run(make_records("a", 60), {}, options);
  EXPECT_TRUE(heldout_.empty()) << "a share of 0 turns it off";
}

TEST_F(Mix, TargetRowsLimitsAllOutputs) {
  MixOptions options;
  options.target_rows = 100;
  const data::Manifest manifest = run(make_records("a", 400), {{"a", 2.0}}, options);
  EXPECT_EQ(manifest.rows_out, 100U);
  EXPECT_GE(manifest.rejects.at("not_sampled"), 300U);
  options.target_rows = 100000;
  EXPECT_EQ(run(make_records("a", 400), {}, options).rows_out, 400U);
}

TEST_F(Mix, OrderIsShuffledAndRepeatable) {
  const std::vector<data::Record> records = make_records("a", 500);
  const data::Manifest one = run(records);
  const std::vector<std::string> first = kept_;
  const data::Manifest two = run(records);
  EXPECT_EQ(first, kept_);
  ASSERT_EQ(one.files.size(), two.files.size());
  for (std::size_t i = 0; i < one.files.size(); ++i) {
    EXPECT_EQ(one.files[i].sha256, two.files[i].sha256);
  }
  std::vector<std::string> input;
  for (const data::Record& record : records) input.push_back(record.id);
  EXPECT_NE(std::vector<std::string>(input.begin(), input.begin() + 50),
            std::vector<std::string>(first.begin(), first.begin() + 50));
  run(records, {}, {}, 2);
  EXPECT_NE(first, kept_);
}

TEST_F(Mix, ImpossibleWeightsAreConfigErrors) {
  for (const double weight : {-1.0, 1e9, std::numeric_limits<double>::quiet_NaN(),
                              std::numeric_limits<double>::infinity()}) {
    try {
      run(make_records("a", 3), {{"a", weight}});
      FAIL() << weight;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_THAT(error.what(), testing::HasSubstr("source.a.weight"));
    }
  }
}

TEST_F(Mix, NothingInNothingOut) { EXPECT_EQ(run({}).rows_out, 0U); }

}  // namespace
}  // namespace nativo::mix
