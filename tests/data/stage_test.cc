#include "data/stage.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/interrupt.h"
#include "io/faulty_disk.h"
#include "io/temp_folder.h"

namespace nativo::data {
namespace {

using io::bytes_of;
using io::Fault;
using io::FaultyDisk;
using io::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::size_t kRows = 25;
constexpr std::size_t kBlockRows = 10;

Record record_of(std::size_t i) {
  Record record;
  record.text = fmt::format("riga numero {} {}", i, std::string(i, 'x'));
  record.lang = "it";
  record.id = content_id(record);
  return record;
}

StageSpec spec_of(std::string_view name) {
  StageSpec spec;
  spec.name = name;
  spec.options = {{"min", 3}};
  spec.key = stage_key(spec);
  return spec;
}

/// A finished stage of kRows rows in one file.
fs::path make_input(const TempFolder& folder) {
  const fs::path path = folder / "input";
  StageWriter writer(path, spec_of("input"));
  for (std::size_t i = 0; i < kRows; ++i) {
    writer.count_in();
    writer.keep(record_of(i));
  }
  writer.finish();
  return path;
}

/// Drops every row whose length is a multiple of three.
BlockResult drop_some(std::vector<Record> rows) {
  BlockResult result;
  for (Record& record : rows) {
    add_lineage(record, "filter", {{"length", record.text.size()}});
    if (record.text.size() % 3 == 0) {
      result.rejected.push_back({record, {"length", std::to_string(record.text.size())}, "", ""});
    } else {
      result.kept.push_back(record);
      result.counts["sources"][record.source]["kept"] = result.kept.size();
    }
  }
  return result;
}

Manifest run_stage(const fs::path& input, const fs::path& output,
                   io::Disk& disk = io::posix_disk()) {
  RecordReader reader(input);
  return run_blocks(output, spec_of("filter"), reader, kBlockRows, drop_some, Json::object(), disk);
}

/// Every file of a stage with its bytes; the manifest's seconds are the one thing that may differ.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string bytes = bytes_of(entry.path());
    if (entry.path().filename() == "manifest.json") {
      Json manifest = Json::parse(bytes);
      manifest.erase("seconds");
      bytes = manifest.dump();
    }
    files[entry.path().filename().native()] = std::move(bytes);
  }
  return files;
}

ExitCode code_of(const std::function<void()>& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return ExitCode::kOk;
}

// Tasks of an array, each with its own blocks, in any order and one of them not at all: what joins
// them makes the missing ones, and the result is that of one process.
TEST(StageParts, JoinToTheSameBytes) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "whole");
  const auto run_part = [&](std::uint64_t index, std::size_t block_rows) {
    StageSpec spec = spec_of("filter");
    spec.part = {.index = index, .count = 3};
    RecordReader reader(input);
    return run_blocks(folder / "out", spec, reader, block_rows, drop_some);
  };
  const Manifest last = run_part(2, kBlockRows);
  EXPECT_EQ(last.rows_in, kRows - 2 * kBlockRows);
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(run_part(1, kBlockRows).rows_in, kBlockRows);
  EXPECT_EQ(run_part(1, kBlockRows).rows_in, kBlockRows);  // again: nothing is done twice
  run_stage(input, folder / "out");
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
}

// Blocks of another size lie elsewhere in the input: they are made again.
TEST(StageParts, OfAnotherBlockSizeAreNotJoined) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "whole");
  StageSpec spec = spec_of("filter");
  spec.part = {.index = 1, .count = 2};
  RecordReader reader(input);
  run_blocks(folder / "out", spec, reader, 5, drop_some);
  run_stage(input, folder / "out");
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
}

TEST(Stage, AccountsForEveryRow) {
  const TempFolder folder;
  const Manifest manifest = run_stage(make_input(folder), folder / "out");
  EXPECT_EQ(manifest.rows_in, kRows);
  EXPECT_EQ(manifest.rows_out + manifest.rejected(), kRows);
  EXPECT_GT(manifest.rejects.at("length"), 0U);
  std::uint64_t lengths = 0;
  for (const auto& [edge, rows] : manifest.length_histogram) lengths += rows;
  EXPECT_EQ(lengths, manifest.rows_out);
  // 14 + 1 to 39 characters: buckets 8 (to 15), 16 and 32.
  EXPECT_EQ(manifest.length_histogram.begin()->first, 8);
  EXPECT_EQ(manifest.length_histogram.rbegin()->first, 32);
  EXPECT_THAT(folder.names(), ElementsAre("input", "out"));
  const Manifest read = read_manifest(folder / "out");
  EXPECT_EQ(to_json(read), to_json(manifest));
  const std::vector<Record> kept = read_all(folder / "out");
  EXPECT_EQ(kept.size(), manifest.rows_out);
  EXPECT_EQ(kept.front().lineage.back().at("stage"), "filter");
}

TEST(Stage, ReadsOutputsByName) {
  const TempFolder folder;
  {
    StageWriter writer(folder / "mix", spec_of("mix"));
    writer.count_in(3);
    writer.keep(record_of(1));
    writer.keep(record_of(2), "heldout");
    writer.keep(record_of(3));
    writer.detail()["note"] = 7;
    const Manifest manifest = writer.finish();
    EXPECT_EQ(manifest.outputs.at("records"), 2U);
    EXPECT_EQ(manifest.outputs.at("heldout"), 1U);
  }
  EXPECT_THAT(read_all(folder / "mix", "heldout"), SizeIs(1));
  EXPECT_THAT(read_all(folder / "mix", "nothing"), SizeIs(0));
  EXPECT_EQ(RecordReader(folder / "mix").total(), 2U);
  EXPECT_EQ(read_manifest(folder / "mix").detail.at("note"), 7);
}

TEST(Stage, AStageWithoutRowsIsAStage) {
  const TempFolder folder;
  StageWriter(folder / "empty", spec_of("empty")).finish();
  EXPECT_THAT(read_all(folder / "empty"), SizeIs(0));
  EXPECT_TRUE(is_complete(folder / "empty", spec_of("empty").key, true));
}

TEST(Stage, LostRowsCommitNothing) {
  const TempFolder folder;
  StageWriter writer(folder / "out", spec_of("out"));
  writer.count_in(2);
  writer.keep(record_of(1));
  EXPECT_EQ(code_of([&] { writer.finish(); }), ExitCode::kInternal);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Stage, TransformThatLosesARowIsRefused) {
  const TempFolder folder;
  RecordReader reader(make_input(folder));
  const auto lose = [](std::vector<Record> rows) {
    rows.pop_back();
    return BlockResult{std::move(rows), {}};
  };
  EXPECT_EQ(code_of([&] { run_blocks(folder / "out", spec_of("f"), reader, 10, lose); }),
            ExitCode::kInternal);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Stage, KeyChangesWithEverythingItIsMadeOf) {
  const StageSpec spec = spec_of("a");
  StageSpec other = spec;
  other.version = 2;
  EXPECT_NE(stage_key(other), stage_key(spec));
  other = spec;
  other.options["min"] = 4;
  EXPECT_NE(stage_key(other), stage_key(spec));
  other = spec;
  other.inputs.push_back({{"name", "x"}, {"sha256", "00"}});
  EXPECT_NE(stage_key(other), stage_key(spec));
  EXPECT_NE(stage_key(spec_of("b")), stage_key(spec));
  other = spec;
  other.key = "anything";
  EXPECT_EQ(stage_key(other), stage_key(spec));
}

TEST(Stage, DamageIsFoundBeforeTheFirstRow) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  const std::string key = spec_of("input").key;
  EXPECT_TRUE(is_complete(input, key, true));
  EXPECT_FALSE(is_complete(input, "another key", false));
  const fs::path file = input / "records-00000.jsonl.zst";
  std::string bytes = bytes_of(file);
  bytes[bytes.size() / 2] ^= 1;
  io::write_file_atomically(file, bytes);
  EXPECT_TRUE(is_complete(input, key, false));  // sizes alone do not show it
  std::string message;
  EXPECT_EQ(code_of([&] { std::ignore = is_complete(input, key, true); }, &message),
            ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("records-00000.jsonl.zst"));
  RecordReader reader(input);
  Record record;
  EXPECT_EQ(code_of([&] { reader.next(record); }), ExitCode::kData);
  fs::resize_file(file, 10);
  EXPECT_FALSE(is_complete(input, key, false));
}

TEST(Stage, BadManifestsNameFileAndKey) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  const Json good = Json::parse(bytes_of(input / "manifest.json"));
  const auto message_for = [&](const std::function<void(Json&)>& damage) {
    Json json = good;
    damage(json);
    folder.put("input/manifest.json", json.dump());
    std::string message;
    EXPECT_EQ(code_of([&] { std::ignore = read_manifest(input); }, &message), ExitCode::kData);
    EXPECT_THAT(message, HasSubstr("manifest.json"));
    return message;
  };
  EXPECT_THAT(message_for([](Json& j) { j.erase("rows_in"); }), HasSubstr("rows_in"));
  EXPECT_THAT(message_for([](Json& j) { j["rows_out"] = -1; }), HasSubstr("rows_out"));
  EXPECT_THAT(message_for([](Json& j) { j["format"] = 2; }), HasSubstr("format"));
  EXPECT_THAT(message_for([](Json& j) { j["stage"] = 3; }), HasSubstr("stage"));
  EXPECT_THAT(message_for([](Json& j) {
                j["length_histogram"] = {{"a", 1}};
              }),
              HasSubstr("length_histogram"));
  EXPECT_THAT(message_for([](Json& j) { j["files"][0]["name"] = "../x"; }), HasSubstr("name"));
  EXPECT_THAT(message_for([](Json& j) { j = 3; }), HasSubstr("object"));
}

TEST(Stage, ALineThatIsNoRecordIsNamed) {
  const TempFolder folder;
  const fs::path file =
      folder.put("rows.jsonl", to_line(record_of(1)) + "\n{\"text\":\"no id\"}\n");
  RecordReader reader(std::vector<fs::path>{file});
  Record record;
  EXPECT_TRUE(reader.next(record));
  std::string message;
  EXPECT_EQ(code_of([&] { reader.next(record); }, &message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("rows.jsonl:2"));
}

TEST(Stage, LeftoversOfOtherKeysAreCollected) {
  const TempFolder folder;
  folder.put("out.part-000000000000/records-00000.jsonl.zst", "old");
  folder.put("outer.part-000000000000/x", "somebody else's");
  StageWriter(folder / "out", spec_of("out")).finish();
  EXPECT_THAT(folder.names(), ElementsAre("out", "outer.part-000000000000"));
}

TEST(Stage, FinishedBlocksAreNotRunAgain) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "undisturbed");
  std::size_t calls = 0;
  const auto fail_at = [&calls](std::size_t call) {
    return [&calls, call](std::vector<Record> rows) {
      if (++calls == call) throw Error(ExitCode::kIo, "the disk is gone");
      return drop_some(std::move(rows));
    };
  };
  RecordReader first(input);
  EXPECT_EQ(code_of([&] {
              run_blocks(folder / "out", spec_of("filter"), first, kBlockRows, fail_at(3));
            }),
            ExitCode::kIo);
  calls = 0;
  // Another block size: the finished blocks keep theirs.
  RecordReader second(input);
  run_blocks(folder / "out", spec_of("filter"), second, 5, fail_at(0));
  EXPECT_EQ(calls, 1U);
  auto expected = contents(folder / "undisturbed");
  std::string& last = expected["block-00002.json"];  // the only one of the new size, which it says
  last.replace(last.find("\"block_rows\":10"), 15, "\"block_rows\":5");
  EXPECT_EQ(contents(folder / "out"), expected);
}

TEST(Stage, CountsOfBlocksAreSummed) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  const Manifest manifest = run_stage(input, folder / "out");
  const std::string source = record_of(0).source;
  EXPECT_EQ(manifest.detail["sources"][source]["kept"], manifest.rows_out);
  EXPECT_EQ(read_manifest(folder / "out").detail, manifest.detail);
}

TEST(Stage, ADamagedBlockIsMadeAgain) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "undisturbed");
  std::size_t calls = 0;
  const auto transform = [&](std::vector<Record> rows) {
    if (++calls == 3) throw Error(ExitCode::kIo, "the disk is gone");
    return drop_some(std::move(rows));
  };
  RecordReader first(input);
  EXPECT_EQ(
      code_of([&] { run_blocks(folder / "out", spec_of("filter"), first, kBlockRows, transform); }),
      ExitCode::kIo);
  fs::path part = folder / "out";
  part += ".part-" + spec_of("filter").key.substr(0, 12);
  std::string bytes = bytes_of(part / "records-00001.jsonl.zst");
  bytes.back() ^= 1;
  io::write_file_atomically(part / "records-00001.jsonl.zst", bytes);
  RecordReader second(input);
  calls = 10;
  run_blocks(folder / "out", spec_of("filter"), second, kBlockRows, transform);
  EXPECT_EQ(calls, 12U);  // blocks 1 and 2
  EXPECT_EQ(contents(folder / "out"), contents(folder / "undisturbed"));
}

/// Kills the process without any chance to clean up when the n-th call comes (0 = never). It does
/// not sync: a kill loses no page, and the test is faster.
class KillingDisk final : public io::Disk {
 public:
  explicit KillingDisk(int call) : call_(call) {}
  std::unique_ptr<io::WritableFile> create(const fs::path& path) override {
    step();
    return std::make_unique<File>(*this, io::posix_disk().create(path));
  }
  std::unique_ptr<io::WritableFile> append(const fs::path& path) override {
    step();
    return std::make_unique<File>(*this, io::posix_disk().append(path));
  }
  std::unique_ptr<io::WritableFile> write_at(const fs::path& path, std::uint64_t at) override {
    step();
    return std::make_unique<File>(*this, io::posix_disk().write_at(path, at));
  }
  void rename(const fs::path& from, const fs::path& to) override {
    step();
    io::posix_disk().rename(from, to);
  }
  bool exchange(const fs::path& one, const fs::path& other) override {
    step();
    return io::posix_disk().exchange(one, other);
  }
  void sync_folder(const fs::path&) override { step(); }  // a kill loses no synced page
  void remove_all(const fs::path& path) override {
    step();
    io::posix_disk().remove_all(path);
  }
  void make_folders(const fs::path& path) override {
    step();
    io::posix_disk().make_folders(path);
  }

 private:
  class File final : public io::WritableFile {
   public:
    File(KillingDisk& disk, std::unique_ptr<io::WritableFile> file)
        : disk_(disk), file_(std::move(file)) {}
    void write(std::string_view bytes) override {
      if (disk_.calls_ + 1 == disk_.call_) file_->write(bytes.substr(0, bytes.size() / 2));
      disk_.step();
      file_->write(bytes);
    }
    void sync() override { disk_.step(); }
    void close() override { file_->close(); }

   private:
    KillingDisk& disk_;
    std::unique_ptr<io::WritableFile> file_;
  };

  void step() {
    if (++calls_ == call_) ::kill(::getpid(), SIGKILL);
  }

  int call_;
  int calls_ = 0;
};

/// Runs the stage on a disk with `fault`, then again on a good one; what is there must be whole.
void fail_then_continue(const fs::path& input, const fs::path& folder, const Fault& fault,
                        const std::map<std::string, std::string>& wanted) {
  FaultyDisk disk(fault);
  const fs::path output = folder / "out";
  const ExitCode code = code_of([&] { run_stage(input, output, disk); });
  disk.cut_power();
  if (code != ExitCode::kOk) {
    EXPECT_EQ(code, fault.error_number == ENOSPC ? ExitCode::kTryAgain : ExitCode::kIo);
    KillingDisk never(0);
    run_stage(input, output, never);
  }
  EXPECT_EQ(contents(output), wanted) << "call " << fault.call;
  const auto siblings = std::distance(fs::directory_iterator(folder), fs::directory_iterator());
  EXPECT_EQ(siblings, 1) << "leftovers after a fault in call " << fault.call;
  fs::remove_all(folder);
}

TEST(Stage, EveryFailingCallLeavesSomethingToContinue) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  FaultyDisk counting;
  run_stage(input, folder / "undisturbed", counting);
  const auto wanted = contents(folder / "undisturbed");
  EXPECT_GT(counting.calls(), 50);
  for (int call = 1; call <= counting.calls(); ++call) {
    const Fault fault{.call = call,
                      .error_number = call % 2 == 0 ? ENOSPC : EIO,
                      .for_good = call % 3 == 0,
                      .torn = true};
    fs::create_directories(folder / "work");
    fail_then_continue(input, folder / "work", fault, wanted);
    if (HasFailure()) return;
  }
}

TEST(Stage, KilledAtAnyWriteItContinuesToTheSameBytes) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "undisturbed");
  const auto wanted = contents(folder / "undisturbed");
  const fs::path output = folder / "out";
  int kills = 0;
  for (int call = 1;; ++call) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      KillingDisk disk(call);
      ::_exit(code_of([&] { run_stage(input, output, disk); }) == ExitCode::kOk ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ++kills;
    // Whatever has the final name is whole.
    if (fs::exists(output)) {
      ASSERT_EQ(contents(output), wanted) << "killed at call " << call;
    }
    KillingDisk never(0);
    run_stage(input, output, never);
    ASSERT_EQ(contents(output), wanted) << "killed at call " << call;
    ASSERT_THAT(folder.names(), ElementsAre("input", "out", "undisturbed"));
    fs::remove_all(output);
  }
  EXPECT_GT(kills, 50);
}

TEST(Stage, ASignalStopsBetweenBlocks) {
  const TempFolder folder;
  const fs::path input = make_input(folder);
  run_stage(input, folder / "undisturbed");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    install_signal_handlers();
    RecordReader reader(input);
    const auto raise_and_drop = [](std::vector<Record> rows) {
      ::raise(SIGTERM);
      return drop_some(std::move(rows));
    };
    const ExitCode code = code_of(
        [&] { run_blocks(folder / "out", spec_of("filter"), reader, kBlockRows, raise_and_drop); });
    ::_exit(static_cast<int>(code));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitCode::kTryAgain));
  StageWriter writer(folder / "out", spec_of("filter"));
  EXPECT_TRUE(writer.block_done(0));  // the block in work was saved first
  EXPECT_FALSE(writer.block_done(1));
  EXPECT_EQ(writer.block_rows_in(0), kBlockRows);
}

}  // namespace
}  // namespace nativo::data
