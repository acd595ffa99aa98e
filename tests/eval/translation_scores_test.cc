// Against tests/golden/translation/scores.json, which tools/reference/make_translation_scores.py
// wrote with sacreBLEU.
#include "eval/translation_scores.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/parallel.h"
#include "data/record.h"
#include "eval/bleu.h"
#include "io/file.h"
#include "text/chrf.h"
#include "text/white_space.h"

namespace nativo::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Two sums of logarithms in another order differ in the last digits only.
constexpr double kTolerance = 1e-9;

const Json& golden() {
  static const Json json = parse_json(
      io::read_file(fs::path(NATIVO_SOURCE_DIR) / "tests/golden/translation/scores.json"),
      "golden");
  return json;
}

TranslationSet set_of(const Json& set) {
  TranslationSet result;
  result.name = set["name"].get<std::string>();
  for (const Json& segment : set["segments"]) {
    result.hypotheses.push_back(segment["hypothesis"].get<std::string>());
    result.references.push_back(segment["references"].get<std::vector<std::string>>());
    result.sources.emplace_back();
  }
  return result;
}

TEST(TranslationScores, TokensAreThoseOfMteval13a) {
  ASSERT_GT(golden()["tokens"].size(), 100U);
  for (const Json& pair : golden()["tokens"]) {
    const std::string spaced = tokenize_13a(pair[0].get<std::string>());
    const std::vector<std::string_view> words = text::split_white_space(spaced);
    EXPECT_EQ(std::vector<std::string>(words.begin(), words.end()),
              pair[1].get<std::vector<std::string>>())
        << dump_json(pair[0]);
  }
}

TEST(TranslationScores, CorpusAndSentencesAreSacreBleus) {
  ASSERT_GE(golden()["sets"].size(), 8U);
  for (const Json& expected : golden()["sets"]) {
    SCOPED_TRACE(expected["name"].get<std::string>());
    const Json scores =
        score_translations(std::vector{set_of(expected)}, {.resamples = 0, .segments = true});
    const Json& system = scores["systems"][0];
    const Json& bleu = system["bleu"];
    EXPECT_NEAR(bleu["score"].get<double>(), expected["bleu"]["score"].get<double>(), kTolerance);
    EXPECT_NEAR(bleu["brevity_penalty"].get<double>(),
                expected["bleu"]["brevity_penalty"].get<double>(), kTolerance);
    EXPECT_EQ(bleu["hypothesis_length"], expected["bleu"]["hypothesis_length"].get<double>());
    EXPECT_EQ(bleu["reference_length"], expected["bleu"]["reference_length"].get<double>());
    for (std::size_t n = 0; n < kBleuOrder; ++n) {
      EXPECT_NEAR(bleu["precisions"][n].get<double>(),
                  expected["bleu"]["precisions"][n].get<double>(), kTolerance);
    }
    EXPECT_NEAR(system["chrf"]["score"].get<double>(), expected["chrf"].get<double>(), kTolerance);
    for (std::size_t i = 0; i < expected["segments"].size(); ++i) {
      const Json& segment = expected["segments"][i];
      EXPECT_NEAR(system["per_segment"][i]["bleu"].get<double>(), segment["bleu"].get<double>(),
                  kTolerance)
          << dump_json(segment);
      EXPECT_NEAR(system["per_segment"][i]["chrf"].get<double>(), segment["chrf"].get<double>(),
                  kTolerance)
          << dump_json(segment);
    }
  }
}

TEST(TranslationScores, IntervalsHoldTheScoreAndDoNotDependOnThreads) {
  const TranslationSet base = set_of(golden()["sets"][2]);
  TranslationSet better = base;
  for (std::size_t i = 0; i < better.hypotheses.size(); i += 2) {
    better.hypotheses[i] = better.references[i][0];
  }
  const std::vector systems = {base, better};
  const Json scores = score_translations(systems, {.resamples = 200});
  for (const Json& system : scores["systems"]) {
    for (const char* metric : {"bleu", "chrf"}) {
      EXPECT_LE(system[metric]["low"].get<double>(), system[metric]["score"].get<double>());
      EXPECT_GE(system[metric]["high"].get<double>(), system[metric]["score"].get<double>());
    }
  }
  const Json& difference = scores["systems"][1]["difference"];
  EXPECT_GT(difference["bleu"]["low"].get<double>(), 0.0);
  EXPECT_GT(difference["chrf"]["low"].get<double>(), 0.0);
  EXPECT_FALSE(scores["systems"][0].contains("difference"));
  const int threads = thread_count();
  set_thread_count(1);
  EXPECT_EQ(dump_json(score_translations(systems, {.resamples = 200})), dump_json(scores));
  set_thread_count(threads);
  EXPECT_THAT(translation_table(scores), HasSubstr("beside the first"));
}

TEST(TranslationScores, StoredSystemsHaveTheirPublishedScores) {
  const char* data = std::getenv("NATIVO_DATA");
  if (data == nullptr) GTEST_SKIP() << "NATIVO_DATA is not set";
  const fs::path folder = fs::path(data) / "parallel_flores";
  const std::vector<fs::path> references = {folder / "flores-dev.it"};
  const Json published = parse_json(io::read_file(folder / "reference_scores.json"),
                                    "reference_scores.json")["en-it"]["flores-dev"];
  for (const char* name : {"bergamot-tiny", "bergamot-base-memory"}) {
    const TranslationSet set =
        read_translations(folder / fmt::format("flores-dev.{}.it", name), references);
    const Json scores = score_translations(std::vector{set}, {.resamples = 0});
    // Published with one digit.
    EXPECT_NEAR(scores["systems"][0]["bleu"]["score"].get<double>(),
                published[name]["bleu"].get<double>(), 0.05)
        << name;
  }
}

class TranslationFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("nativo-scores-{}", ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file(const char* name, std::string_view bytes) {
    io::write_file_atomically(folder_ / name, bytes);
    return folder_ / name;
  }
  std::string failure(const fs::path& hypotheses, const std::vector<fs::path>& references) {
    try {
      (void)read_translations(hypotheses, references);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  static std::string record_line(const std::string& text, int row, const std::string& source_id) {
    data::Record record;
    record.text = text;
    record.lang = "it";
    record.id = data::content_id(record);
    data::add_lineage(record, "ingest", {{"file", "a.jsonl"}, {"row", row}});
    data::add_lineage(record, "translate", {{"engine", "x"}, {"source_id", source_id}});
    return data::to_line(record) + "\n";
  }
  fs::path folder_;
};

TEST_F(TranslationFiles, LinesAndSeveralReferences) {
  const std::vector<fs::path> references = {file("a", "uno\ndue\n"), file("b", "1\n2")};
  const TranslationSet set = read_translations(file("h", "x\r\ny\n"), references);
  EXPECT_EQ(set.hypotheses, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(set.references[1], (std::vector<std::string>{"due", "2"}));
  EXPECT_EQ(set.missing, 0U);
  EXPECT_THAT(failure(file("h", "x\n"), references), HasSubstr("has 1 segments"));
  EXPECT_THAT(failure(file("h", "x\n\xff\n"), references), HasSubstr("h:2: this is not valid"));
}

TEST_F(TranslationFiles, JsonLinesBringTheirReferences) {
  const fs::path path = file("h.jsonl",
                             "{\"source\":\"s\",\"hypothesis\":\"x\",\"reference\":\"r\"}\n\n"
                             "{\"hypothesis\":\"y\",\"references\":[\"q\",\"p\"]}\n");
  const TranslationSet set = read_translations(path, {});
  EXPECT_EQ(set.sources[0], "s");
  EXPECT_EQ(set.references[1], (std::vector<std::string>{"q", "p"}));
  const std::vector<fs::path> other = {file("r", "eins\nzwei\n")};
  EXPECT_EQ(read_translations(path, other).references[0], (std::vector<std::string>{"eins"}));
  EXPECT_THAT(failure(file("h.jsonl", "{\"hypothesis\":\"x\"}\n"), {}), HasSubstr("no reference"));
  EXPECT_THAT(failure(file("h.jsonl", "{\"hypothesis\":3}\n"), {}), HasSubstr("h.jsonl:1"));
  EXPECT_THAT(failure(file("h.jsonl", "{\"x\":3}\n"), {}), HasSubstr("\"hypothesis\" is missing"));
}

TEST_F(TranslationFiles, RecordsFindTheirReferences) {
  const fs::path records =
      file("r.jsonl", record_line("tre", 3, "id3") + record_line("uno", 1, "id1"));
  const std::vector<fs::path> rows = {file("rows", "R1\nR2\nR3\n")};
  const TranslationSet by_row = read_translations(records, rows);
  EXPECT_EQ(by_row.references[0][0], "R3");
  EXPECT_EQ(by_row.references[1][0], "R1");
  EXPECT_EQ(by_row.missing, 1U);  // row 2 was rejected: said, not hidden
  const std::vector<fs::path> ids = {
      file("ids.jsonl",
           "{\"id\":\"id1\",\"reference\":\"I1\"}\n{\"id\":\"id3\",\"reference\":\"I3\"}\n")};
  EXPECT_EQ(read_translations(records, ids).references[0][0], "I3");
  const fs::path twice = file("t.jsonl", record_line("tre", 3, "a") + record_line("drei", 3, "b"));
  EXPECT_THAT(failure(twice, rows), HasSubstr("the same reference"));
  EXPECT_THAT(failure(records, {file("few", "R1\n")}), HasSubstr("no reference for"));
}

}  // namespace
}  // namespace nativo::eval
