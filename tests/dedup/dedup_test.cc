#include "dedup/dedup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/scratch.h"
#include "base/strings.h"
#include "io/lines.h"

namespace nativo::dedup {
namespace {

namespace fs = std::filesystem;

data::Record document(std::string text, std::string source = "docs") {
  data::Record record;
  record.text = std::move(text);
  record.lang = "it";
  record.source = std::move(source);
  record.licence = "CC0-1.0";
  record.id = data::content_id(record);
  return record;
}

data::Record chat(std::string question, std::string answer, std::string system = {}) {
  data::Record record;
  if (!system.empty()) record.messages.push_back({"system", std::move(system)});
  record.messages.push_back({"user", std::move(question)});
  record.messages.push_back({"assistant", std::move(answer)});
  record.lang = "it";
  record.source = "chats";
  record.licence = "CC0-1.0";
  record.id = data::content_id(record);
  return record;
}

std::vector<data::Record> texts_of(const std::string& name) {
  std::vector<data::Record> records;
  std::ifstream file(fs::path(NATIVO_SOURCE_DIR) / "examples/quickstart/italian" / name);
  for (std::string line; std::getline(file, line);) {
    records.push_back(document(parse_json(line, name)["text"], name));
  }
  return records;
}

class Dedup : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  data::Manifest run(const std::vector<data::Record>& records, const DedupOptions& options = {}) {
    const fs::path input = folder_ / "input.jsonl";
    std::ofstream file(input);
    for (const data::Record& record : records) file << data::to_line(record) << '\n';
    file.close();
    data::RecordReader reader(std::vector<fs::path>{input});
    data::StageSpec spec{.name = "dedup", .key = std::string(64, 'b'), .options = Json::object()};
    fs::remove_all(folder_ / "stage");
    data::Manifest manifest = run_dedup(folder_ / "stage", spec, reader, options);
    EXPECT_EQ(manifest.rows_in, records.size());
    EXPECT_EQ(manifest.rows_in, manifest.rows_out + manifest.rejected());
    kept_ = manifest.rows_out > 0 ? data::read_all(folder_ / "stage") : std::vector<data::Record>();
    return manifest;
  }

  fs::path folder_;
  std::vector<data::Record> kept_;
};

TEST_F(Dedup, FindsTheQuickstartsPlantedDuplicates) {
  std::vector<data::Record> records = texts_of("passages-a.jsonl");
  for (const std::string name : {"passages-b.jsonl", "scraped.jsonl"}) {
    for (data::Record& record : texts_of(name)) records.push_back(std::move(record));
  }
  const data::Manifest manifest = run(records);
  EXPECT_EQ(manifest.rejects.at("exact_duplicate"), 2U);
  EXPECT_EQ(manifest.rejects.at("near_duplicate"), 4U);
  EXPECT_EQ(manifest.detail["largest_group"], 1);
  std::map<std::string, std::size_t> kept;
  for (const data::Record& record : kept_) ++kept[record.source];
  EXPECT_EQ(kept["passages-a.jsonl"], 90U) << "different passages stay";
}

TEST_F(Dedup, EqualsDifferInCaseSpaceAndPunctuationOnly) {
  const data::Manifest manifest =
      run({document("Ciao, mondo!"), document("  ciao MONDO"), document("Ciao, mondi!")});
  EXPECT_EQ(manifest.rejects.at("exact_duplicate"), 1U);
  ASSERT_EQ(kept_.size(), 2U);
  EXPECT_EQ(kept_[0].text, "Ciao, mondo!") << "the longer one stays";
  EXPECT_EQ(kept_[0].lineage.back()["stands_for"], 1);
}

TEST_F(Dedup, TheNativeOneStaysThenTheLongerThenTheEarlier) {
  const std::string text =
      "Il treno per Firenze parte alle otto dal binario tre e arriva dopo circa due ore di "
      "viaggio.";
  data::Record translated = document(text + " Fine della corsa, signori.");
  data::add_lineage(translated, "translate", {{"engine", "x"}});
  const data::Record native = document(text + " Fine della corsa, signore.");
  run({translated, native});
  ASSERT_EQ(kept_.size(), 1U);
  EXPECT_EQ(kept_[0].id, native.id);
  run({document(text), native});
  ASSERT_EQ(kept_.size(), 1U + 1U) << "a fifth more text is no near-duplicate";
  run({document(text + " Bene"), document(text + " Bene!"), document(text + " Bene?")});
  ASSERT_EQ(kept_.size(), 1U);
  EXPECT_EQ(kept_[0].text, text + " Bene!") << "of equals the earlier";
}

TEST_F(Dedup, RejectsNameTheKeptRecordAndTheCosine) {
  const std::string text =
      "Il treno per Firenze parte alle otto dal binario tre e arriva dopo circa due ore di "
      "viaggio, "
      "chi non ha il biglietto può comprarlo alla macchina oppure pagare un supplemento.";
  const data::Record first = document(text + " Ecco.");
  run({first, document(text)});
  std::string value;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "stage")) {
    if (!entry.path().filename().string().starts_with("rejects")) continue;
    io::LineReader lines(entry.path());
    std::string line;
    while (lines.next(line)) value = parse_json(line, "rejects")["reject"]["value"];
  }
  EXPECT_THAT(value, testing::MatchesRegex("cosine 0\\.9[0-9]+ >= 0\\.9 of " + first.id));
}

TEST_F(Dedup, ConversationsWithOtherNumbersOrSystemMessages) {
  const std::string question =
      "Anna compra 12 mele al mercato e ne regala 5 alla sua amica Lucia: quante mele restano ad "
      "Anna?";
  std::string other = replace_all(question, "12", "14");
  run({chat(question, "Restano 7 mele."), chat(other, "Restano 9 mele.")});
  EXPECT_EQ(kept_.size(), 2U) << "another exercise";
  DedupOptions blunt;
  blunt.numbers_matter = false;
  run({chat(question, "Restano 7 mele."), chat(other, "Restano 9 mele.")}, blunt);
  EXPECT_EQ(kept_.size(), 1U);
  const std::string system(2000, 'x');
  run({chat("Qual è la capitale della Francia, e su quale fiume si trova?", "Parigi.", system),
       chat("Chi ha dipinto la Gioconda, e dove si può vederla oggi?", "Leonardo.", system)});
  EXPECT_EQ(kept_.size(), 2U) << "a shared system message is no likeness";
}

TEST_F(Dedup, OrderAndThreadsDoNotMatter) {
  std::vector<data::Record> records = texts_of("passages-b.jsonl");
  for (data::Record& record : texts_of("scraped.jsonl")) records.push_back(std::move(record));
  const int threads = thread_count();
  set_thread_count(1);
  const data::Manifest one = run(records);
  set_thread_count(3);
  const data::Manifest three = run(records);
  set_thread_count(threads);
  ASSERT_EQ(one.files.size(), three.files.size());
  for (std::size_t i = 0; i < one.files.size(); ++i) {
    EXPECT_EQ(one.files[i].sha256, three.files[i].sha256);
  }
  EXPECT_EQ(one.detail, three.detail);
}

TEST_F(Dedup, NothingInNothingOut) { EXPECT_EQ(run({}).rows_out, 0U); }

}  // namespace
}  // namespace nativo::dedup
