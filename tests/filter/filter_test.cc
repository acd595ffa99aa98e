// The filter against tests/data/filter/cases.jsonl (a record a line, with the rule that must drop
// it), and as a stage.
#include "filter/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/parallel.h"
#include "base/scratch.h"

namespace nativo::filter {
namespace {

namespace fs = std::filesystem;

data::Record record_of(const Json& row) {
  data::Record record;
  record.lang = row["lang"];
  record.source = "cases";
  record.licence = "CC0-1.0";
  if (row.contains("messages")) {
    for (const Json& message : row["messages"]) {
      record.messages.push_back({message["role"], message["content"]});
    }
  } else {
    record.text = row["text"];
  }
  if (row.contains("lineage")) record.lineage = row["lineage"];
  record.id = data::content_id(record);
  return record;
}

std::vector<Json> rows_of(const fs::path& path) {
  std::vector<Json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) rows.push_back(parse_json(line, path.string()));
  return rows;
}

TEST(Filter, CasesMeetTheirRules) {
  std::set<std::string> seen;
  for (const Json& row : rows_of(fs::path(NATIVO_TEST_DATA) / "filter/cases.jsonl")) {
    const auto rejection = judge(record_of(row), FilterOptions{}, "it", nullptr);
    const std::string expected = row["rule"];
    EXPECT_EQ(rejection ? rejection->rule : "", expected)
        << row["case"] << ": " << (rejection ? rejection->value : "kept");
    seen.insert(expected);
  }
  EXPECT_GE(seen.size(), 16U) << "the file holds a case for most rules";
}

TEST(Filter, AValueNamesMeasureAndThreshold) {
  data::Record record;
  record.lang = "it";
  record.text = "Leggi tutto";
  const auto rejection = judge(record, FilterOptions{}, "it", nullptr);
  ASSERT_TRUE(rejection);
  EXPECT_EQ(rejection->value, "2 < 50");
}

TEST(Filter, ThresholdsAreOptions) {
  data::Record record;
  record.lang = "it";
  record.text = "Leggi tutto.";
  FilterOptions options;
  options.min_document_tokens = 2;
  EXPECT_FALSE(judge(record, options, "it", nullptr));
  record.lang = "en";
  options.only_target = false;
  EXPECT_FALSE(judge(record, options, "it", nullptr));
}

TEST(Filter, OddRecordsDoNotBreakIt) {
  FilterOptions options;
  options.min_document_tokens = 0;
  options.min_tokens = 0;
  for (const std::string& text :
       {std::string(), std::string("\n\n\n"), std::string(5000, '`'), std::string(5000, '<'),
        std::string(5000, '$'), std::string("\xFF\xFE\x80"), std::string(3, '\0'),
        std::string("# \n# \n")}) {
    data::Record record;
    record.lang = "it";
    record.text = text;
    record.lineage = "not an array";
    static_cast<void>(judge(record, options, "it", nullptr));
    record.lineage = Json::array({1, nullptr, Json::object()});
    record.messages = {{"user", text}, {"assistant", ""}};
    static_cast<void>(judge(record, options, "it", nullptr));
  }
}

class FilterStage : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Writes the quickstart's scraped texts as records.
  fs::path scraped() {
    const fs::path path = folder_ / "scraped.jsonl";
    std::ofstream file(path);
    for (Json row :
         rows_of(fs::path(NATIVO_SOURCE_DIR) / "examples/quickstart/italian/scraped.jsonl")) {
      row["lang"] = "it";
      file << data::to_line(record_of(row)) << '\n';
    }
    return path;
  }

  data::Manifest run(const fs::path& input, const std::string& name) {
    data::RecordReader reader(std::vector<fs::path>{input});
    data::StageSpec spec{.name = "filter", .key = std::string(64, 'a'), .options = Json::object()};
    return run_filter(folder_ / name, spec, reader, FilterOptions{}, "it", nullptr);
  }

  fs::path folder_;
};

TEST_F(FilterStage, EveryRowIsAccountedFor) {
  const data::Manifest manifest = run(scraped(), "stage");
  EXPECT_EQ(manifest.rows_in, 16U);
  EXPECT_EQ(manifest.rows_out, 8U);
  EXPECT_EQ(manifest.rows_in, manifest.rows_out + manifest.rejected());
  EXPECT_EQ(manifest.rejects.at("language"), 4U);
  EXPECT_EQ(manifest.rejects.at("too_short"), 2U);
  EXPECT_EQ(manifest.rejects.at("loop"), 1U);
  EXPECT_EQ(manifest.rejects.at("top_2gram"), 1U);
  EXPECT_EQ(manifest.detail["unit"], "words");
  EXPECT_EQ(manifest.detail["sources"]["cases"]["rejects"]["language"], 4);
  EXPECT_EQ(data::read_all(folder_ / "stage").size(), 8U);
}

TEST_F(FilterStage, ThreadsDoNotMatter) {
  const fs::path input = scraped();
  const int threads = thread_count();
  set_thread_count(1);
  const data::Manifest one = run(input, "one");
  set_thread_count(3);
  const data::Manifest three = run(input, "three");
  set_thread_count(threads);
  ASSERT_EQ(one.files.size(), three.files.size());
  for (std::size_t i = 0; i < one.files.size(); ++i) {
    EXPECT_EQ(one.files[i].sha256, three.files[i].sha256);
  }
  EXPECT_EQ(one.detail, three.detail);
}

}  // namespace
}  // namespace nativo::filter
