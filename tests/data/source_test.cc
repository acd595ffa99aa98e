#include "data/source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cerrno>

#include "config/config_file.h"
#include "io/faulty_disk.h"
#include "io/lines.h"
#include "io/temp_folder.h"
#include "io/zstd_writer.h"

namespace nativo::data {
namespace {

using io::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kData = fs::path(NATIVO_TEST_DATA) / "sources";
const fs::path kQuickstart = fs::path(NATIVO_SOURCE_DIR) / "examples" / "quickstart";

SourceOptions source_of(const fs::path& path) {
  SourceOptions options;
  options.path = path.native();
  options.lang = "en";
  options.licence = "CC0-1.0";
  return options;
}

StageSpec spec() {
  StageSpec spec;
  spec.name = "ingest";
  spec.key = stage_key(spec);
  return spec;
}

Manifest ingest_one(const TempFolder& folder, const SourceOptions& options,
                    double max_broken = 0.9) {
  IngestOptions ingest_options;
  ingest_options.max_broken = max_broken;
  return ingest(folder / "ingest", spec(), {{"prova", options}}, ingest_options);
}

std::vector<Json> rejects_of(const fs::path& stage) {
  std::vector<Json> rejects;
  for (const StageFile& file : read_manifest(stage).files) {
    if (!file.name.starts_with("rejects-")) continue;
    io::LineReader lines(stage / file.name);
    for (std::string line; lines.next(line);) rejects.push_back(Json::parse(line));
  }
  return rejects;
}

struct Failure {
  ExitCode code = ExitCode::kOk;
  std::string message;
};

Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(bytes.size() + 1024, '\0');
  std::string in(bytes);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string rows(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += fmt::format(R"({{"question":"What is {}?","answer":"It is {}."}})", i, i * i) + "\n";
  }
  return lines;
}

TEST(Ingest, FillsTheRecords) {
  const TempFolder folder;
  SourceOptions options = source_of(folder.put("q.jsonl", rows(3)));
  options.task = "arithmetic";
  const Manifest manifest = ingest_one(folder, options);
  EXPECT_EQ(manifest.rows_in, 3U);
  EXPECT_EQ(manifest.rows_out, 3U);
  const Record record = read_all(folder / "ingest").at(1);
  EXPECT_EQ(record.source, "prova");
  EXPECT_EQ(record.lang, "en");
  EXPECT_EQ(record.licence, "CC0-1.0");
  EXPECT_EQ(record.task, "arithmetic");
  EXPECT_EQ(record.id, content_id(record));
  EXPECT_EQ(record.lineage, Json::parse(R"([{"stage":"ingest","file":"q.jsonl","row":2}])"));
  EXPECT_EQ(manifest.detail.at("sources").at("prova").at("records"), 3);
}

TEST(Ingest, EveryBadRowHasItsReasonAndPlace) {
  const TempFolder folder;
  const fs::path file = kData / "broken.jsonl";
  const Manifest manifest = ingest_one(folder, source_of(file));
  EXPECT_EQ(manifest.rows_in, 7U);  // the empty line is no row
  EXPECT_EQ(manifest.rows_out, 2U);
  std::vector<std::string> seen;
  for (const Json& line : rejects_of(folder / "ingest")) {
    const Json& why = line.at("reject");
    EXPECT_EQ(line.at("source"), "prova");
    EXPECT_FALSE(why.at("raw").get<std::string>().empty());
    seen.push_back(why.at("rule").get<std::string>() + " " + why.at("origin").get<std::string>());
  }
  const std::string at = file.native() + ":";
  EXPECT_THAT(seen, ElementsAre("broken_json " + at + "2", "unknown_shape " + at + "5",
                                "empty_content " + at + "6", "bad_roles " + at + "7",
                                "invalid_utf8 " + at + "8"));
}

TEST(Ingest, ArraysReportTheElement) {
  const TempFolder folder;
  const fs::path file = kData / "array.json";
  ingest_one(folder, source_of(file));
  const std::vector<Record> records = read_all(folder / "ingest");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].messages[0].content, "A [strange] \"one\", }");
  EXPECT_EQ(records[1].lineage[0].at("row"), 2);
  EXPECT_EQ(rejects_of(folder / "ingest").at(0).at("reject").at("origin"), file.native() + "[1]");
}

TEST(Ingest, JsonFilesMayHoldLinesOrOneObject) {
  const TempFolder folder;
  folder.put("s/lines.json", rows(2));
  folder.put("s/one.json", "\xEF\xBB\xBF{\n \"text\": \"Una riga sola.\"\n}\n");
  folder.put("s/none.json", " [ ] ");
  EXPECT_EQ(ingest_one(folder, source_of(folder / "s")).rows_out, 3U);
}

TEST(Ingest, ArraysThatDoNotEndAreRefused) {
  const TempFolder folder;
  for (const char* bytes : {"[{\"text\":\"a\"},{\"text\":\"b\"", "[{\"text\":\"a\"},",
                            "[{\"text\":\"a]", "[{\"text\":\"a\"}] [1]", "[{\"text\":\"a\"}]}"}) {
    const fs::path file = folder.put("a.json", bytes);
    const Failure failure = failure_of([&] { ingest_one(folder, source_of(file)); });
    EXPECT_EQ(failure.code, ExitCode::kData) << bytes;
    EXPECT_THAT(failure.message, HasSubstr("a.json"));
    EXPECT_FALSE(fs::exists(folder / "ingest"));
  }
}

TEST(Ingest, CompressedFilesGiveTheSameRecords) {
  const TempFolder folder;
  folder.put("a/q.jsonl", rows(50));
  folder.put("b/q.jsonl.gz", gzip(rows(50)));
  fs::create_directories(folder / "c");
  io::ZstdWriter writer(folder / "c" / "q.jsonl.zst");
  writer.write(rows(50));
  writer.commit();
  std::vector<std::vector<std::string>> ids;
  for (const char* name : {"a", "b", "c"}) {
    fs::remove_all(folder / "ingest");
    ingest_one(folder, source_of(folder / name));
    ids.emplace_back();
    for (const Record& record : read_all(folder / "ingest")) ids.back().push_back(record.id);
  }
  EXPECT_EQ(ids[0].size(), 50U);
  EXPECT_EQ(ids[1], ids[0]);
  EXPECT_EQ(ids[2], ids[0]);
}

TEST(Ingest, TruncatedArchivesAreRefused) {
  const TempFolder folder;
  const std::string whole = gzip(rows(2000));
  const fs::path file = folder.put("q.jsonl.gz", whole.substr(0, whole.size() - 20));
  const Failure failure = failure_of([&] { ingest_one(folder, source_of(file)); });
  EXPECT_EQ(failure.code, ExitCode::kData);
  EXPECT_THAT(failure.message, HasSubstr("q.jsonl.gz"));
  EXPECT_FALSE(fs::exists(folder / "ingest"));
}

TEST(Ingest, FoldersAreReadInNameOrder) {
  const TempFolder folder;
  const Manifest manifest = ingest_one(folder, source_of(kData / "docs"));
  std::vector<std::string> texts;
  for (const Record& record : read_all(folder / "ingest")) {
    texts.push_back(record.lineage[0].at("file").get<std::string>() + ": " + record.text);
  }
  EXPECT_THAT(
      texts, ElementsAre("a.txt: Un testo breve.\nDue righe.", "b/uno.md: # Uno\n\nIl primo testo.",
                         "c.jsonl: Una riga di JSON."));
  EXPECT_EQ(manifest.detail.at("sources").at("prova").at("files_skipped"), 1);
}

TEST(Ingest, ALongTextBecomesPassagesWithTheirLines) {
  const TempFolder folder;
  std::string book = "Title\n\n*** START OF THIS PROJECT GUTENBERG EBOOK ***\n";
  for (int i = 0; i < 100; ++i)
    book += fmt::format("\nParagrafo {}: {}\n", i, std::string(200, 'a'));
  book += "*** END OF THIS PROJECT GUTENBERG EBOOK ***\nlicence\n";
  ingest_one(folder, source_of(folder.put("book.txt", book)));
  const std::vector<Record> records = read_all(folder / "ingest");
  EXPECT_EQ(records.size(), 12U);  // 9 paragraphs of 213 characters and 8 gaps fit into 2000
  EXPECT_TRUE(records[0].text.starts_with("Paragrafo 0:"));
  EXPECT_TRUE(records[1].text.starts_with("Paragrafo "));
  EXPECT_EQ(records[0].lineage[0].at("line"), 5);
  EXPECT_EQ(records[1].lineage[0].at("row"), 2);
  EXPECT_THAT(records.back().text, testing::Not(HasSubstr("licence")));
}

TEST(Ingest, InvalidUtf8TextIsRejected) {
  const TempFolder folder;
  folder.put("s/a.txt", "Perch\xE9 no");
  folder.put("s/b.txt", "Perch\xC3\xA9 no");
  folder.put("s/c.md", "  \n");
  const Manifest manifest = ingest_one(folder, source_of(folder / "s"));
  EXPECT_EQ(manifest.rows_out, 1U);
  EXPECT_EQ(manifest.rejects.at("invalid_utf8"), 1U);
  EXPECT_EQ(manifest.rejects.at("empty_content"), 1U);
}

TEST(Ingest, LimitCountsRows) {
  const TempFolder folder;
  SourceOptions options = source_of(folder.put("q.jsonl", rows(30)));
  options.limit = 7;
  EXPECT_EQ(ingest_one(folder, options).rows_out, 7U);
}

TEST(Ingest, TreesAddRows) {
  const TempFolder folder;
  const fs::path file = folder.put("t.jsonl", R"({"prompt":{"text":"p","role":"prompter","replies":[
      {"text":"a","role":"assistant"},{"text":"b","role":"assistant"}]}})");
  std::string bytes = io::bytes_of(file);
  std::erase(bytes, '\n');
  folder.put("t.jsonl", bytes);
  const Manifest manifest = ingest_one(folder, source_of(file));
  EXPECT_EQ(manifest.rows_in, 1U);
  EXPECT_EQ(manifest.rows_added, 1U);
  EXPECT_EQ(manifest.rows_out, 2U);
  EXPECT_EQ(read_all(folder / "ingest")[1].lineage,
            Json::parse(R"([{"stage":"ingest","file":"t.jsonl","row":1,"path":1}])"));
}

TEST(Ingest, TooManyBrokenRowsEndTheRun) {
  const TempFolder folder;
  const fs::path file = kData / "broken.jsonl";
  const Failure failure = failure_of([&] { ingest_one(folder, source_of(file), 0.4); });
  EXPECT_EQ(failure.code, ExitCode::kData);  // 3 unreadable of 7
  EXPECT_THAT(failure.message, HasSubstr("[source.prova] 3 of 7"));
  for (const char* line : {":2", ":5", ":8"}) {
    EXPECT_THAT(failure.message, HasSubstr(file.native() + line));
  }
  EXPECT_FALSE(fs::exists(folder / "ingest"));
  EXPECT_EQ(ingest_one(folder, source_of(file), 0.43).rows_out, 2U);
}

TEST(Ingest, EmptySourcesAreNamed) {
  const TempFolder folder;
  fs::create_directories(folder / "nothing");
  for (const fs::path& path :
       {folder.put("e.jsonl", "\n\n"), folder.put("a.json", "[]"), folder / "nothing"}) {
    const Failure failure = failure_of([&] { ingest_one(folder, source_of(path)); });
    EXPECT_EQ(failure.code, ExitCode::kData) << path;
    EXPECT_THAT(failure.message, HasSubstr("[source.prova] path: " + path.native()));
  }
}

TEST(Ingest, ASourceWhoseRowsAreAllRejectedIsNamed) {
  const TempFolder folder;
  const fs::path file = folder.put("e.jsonl", "{\"text\":\"\"}\n");
  const Failure failure = failure_of([&] { ingest_one(folder, source_of(file)); });
  EXPECT_EQ(failure.code, ExitCode::kData);
  EXPECT_THAT(failure.message, HasSubstr("none of the 1 rows"));
}

TEST(Ingest, MissingPathNamesTheKey) {
  const TempFolder folder;
  const Failure failure = failure_of([&] { ingest_one(folder, source_of(folder / "absent")); });
  EXPECT_EQ(failure.code, ExitCode::kMissingInput);
  EXPECT_THAT(failure.message, HasSubstr("[source.prova] path: "));
  EXPECT_THAT(failure.message, HasSubstr("absent"));
}

TEST(Ingest, OptionsAreChecked) {
  const TempFolder folder;
  const SourceOptions good = source_of(folder.put("q.jsonl", rows(1)));
  const auto refused = [&](auto change, std::string_view key) {
    SourceOptions options = good;
    change(options);
    const Failure failure = failure_of([&] { ingest_one(folder, options); });
    EXPECT_EQ(failure.code, ExitCode::kConfig) << key;
    EXPECT_THAT(failure.message, HasSubstr(fmt::format("[source.prova] {}:", key)));
  };
  refused([](SourceOptions& o) { o.lang.clear(); }, "lang");
  refused([](SourceOptions& o) { o.lang = std::string("Italian"); }, "lang");
  refused([](SourceOptions& o) { o.licence.clear(); }, "licence");
  refused([](SourceOptions& o) { o.path.clear(); }, "path");
  refused([](SourceOptions& o) { o.shape = std::string("chatty"); }, "shape");
  EXPECT_EQ(failure_of([&] { ingest(folder / "ingest", spec(), {}, {}); }).code, ExitCode::kConfig);
}

TEST(Ingest, OptionsHaveHelpAndShapesAreChoices) {
  config::DocVisitor docs;
  SourceOptions().visit(docs);
  IngestOptions().visit(docs);
  bool shape_seen = false;
  for (const config::FieldDoc& field : docs.docs()) {
    EXPECT_FALSE(field.help.empty()) << field.key;
    if (field.key == "shape") {
      shape_seen = true;
      EXPECT_THAT(field.allowed, HasSubstr("oasst_tree"));
    }
  }
  EXPECT_TRUE(shape_seen);
  EXPECT_EQ(docs.docs().size(), 10U);
}

TEST(Ingest, AFullDiskIsContinuedToTheSameBytes) {
  const TempFolder folder;
  const std::map<std::string, SourceOptions> sources = {
      {"a", source_of(folder.put("a.jsonl", rows(45000)))},
      {"b", source_of(folder.put("b.jsonl", rows(10)))}};
  const auto run = [&](const char* name, io::Disk& disk) {
    ingest(folder / name, spec(), sources, IngestOptions(), disk);
  };
  io::FaultyDisk counting;
  run("undisturbed", counting);
  io::FaultyDisk full({.call = counting.calls() / 2, .error_number = ENOSPC, .for_good = true});
  EXPECT_EQ(failure_of([&] { run("again", full); }).code, ExitCode::kTryAgain);
  EXPECT_FALSE(fs::exists(folder / "again"));
  run("again", io::posix_disk());
  const Manifest wanted = read_manifest(folder / "undisturbed");
  const Manifest manifest = read_manifest(folder / "again");
  EXPECT_EQ(manifest.rows_out, 45010U);
  ASSERT_EQ(manifest.files.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(manifest.files[i].sha256, wanted.files[i].sha256);
  EXPECT_EQ(manifest.detail, wanted.detail);
}

TEST(Ingest, ReadsTheExamples) {
  const TempFolder folder;
  std::map<std::string, SourceOptions> sources;
  for (const auto& entry : fs::directory_iterator(kQuickstart / "english")) {
    sources[entry.path().stem().native()] = source_of(entry.path());
  }
  sources["italian"] = source_of(kQuickstart / "italian");
  const Manifest manifest = ingest(folder / "ingest", spec(), sources, IngestOptions());
  EXPECT_EQ(manifest.rejected(), 0U);
  for (const auto& [name, detail] : manifest.detail.at("sources").items()) {
    EXPECT_EQ(detail.at("records"), detail.at("rows")) << name;
  }
  for (const Record& record : read_all(folder / "ingest")) {
    if (record.source == "italian") continue;
    EXPECT_FALSE(record.task.empty());
    EXPECT_FALSE(record.messages.empty());
  }
}

}  // namespace
}  // namespace nativo::data
