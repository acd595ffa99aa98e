// Files that appear whole or not at all, whichever call fails.
#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "io/faulty_disk.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::string big_text() {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += std::to_string(i) + "\n";
  return text;
}

/// Runs `action` once to count its calls, then once for each call, errno and manner of failing.
void sweep(const std::function<void()>& prepare, const std::function<void(Disk&)>& action,
           const std::function<void(bool failed)>& check) {
  prepare();
  FaultyDisk counting;
  action(counting);
  check(false);
  ASSERT_GT(counting.calls(), 3);
  for (int call = 1; call <= counting.calls(); ++call) {
    for (const int error_number : {ENOSPC, EIO}) {
      for (const int manner : {0, 1, 2, 3}) {
        const Fault fault = {call, error_number, (manner & 1) != 0, (manner & 2) != 0};
        SCOPED_TRACE(counting.trace()[static_cast<std::size_t>(call) - 1] + " fails with errno " +
                     std::to_string(error_number) + (fault.for_good ? " for good" : "") +
                     (fault.torn ? ", torn" : ""));
        prepare();
        FaultyDisk disk(fault);
        try {
          action(disk);
          ADD_FAILURE() << "the failure was swallowed";
        } catch (const Error& e) {
          EXPECT_EQ(e.code(), error_number == ENOSPC ? ExitCode::kTryAgain : ExitCode::kIo);
        }
        disk.cut_power();
        check(true);
      }
    }
  }
}

TEST(AtomicFile, WritesSyncsRenamesAndSyncsTheFolder) {
  const TempFolder folder;
  FaultyDisk disk;
  AtomicFile file(folder / "a", disk);
  file.write("one ");
  file.write("two");
  EXPECT_EQ(bytes_of(folder / "a"), "<absent>");
  file.commit();
  EXPECT_EQ(bytes_of(folder / "a"), "one two");
  const std::string temporary = "a.tmp-" + std::to_string(::getpid());
  EXPECT_THAT(disk.trace(), ElementsAre("create " + temporary, "write " + temporary,
                                        "sync " + temporary, "close " + temporary, "rename a",
                                        "sync_folder " + folder.path().filename().native()));
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicFile, WithoutCommitNothingAppears) {
  const TempFolder folder;
  folder.put("a", "old");
  { AtomicFile(folder / "a").write(big_text()); }
  EXPECT_EQ(bytes_of(folder / "a"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicFile, AnEmptyFileIsAFileToo) {
  const TempFolder folder;
  write_file_atomically(folder / "a", "");
  EXPECT_EQ(bytes_of(folder / "a"), "");
}

TEST(AtomicFile, EveryFailingCallLeavesTheOldFileOrTheNewOne) {
  const TempFolder folder;
  const std::string text = big_text();
  int whole_new_ones = 0;
  sweep([&] { folder.put("a", "old"); },
        [&](Disk& disk) { write_file_atomically(folder / "a", text, disk); },
        [&](bool failed) {
          const std::string found = bytes_of(folder / "a");
          EXPECT_TRUE(found == text || (failed && found == "old")) << found.size();
          EXPECT_THAT(folder.names(), ElementsAre("a"));
          whole_new_ones += failed && found == text ? 1 : 0;
        });
  // Only the last call, syncing the folder, may fail after the new file is there: 2 errnos x 4.
  EXPECT_EQ(whole_new_ones, 8);
}

TEST(AtomicFile, EveryFailingCallLeavesNoNewFile) {
  const TempFolder folder;
  const std::string text = big_text();
  sweep([&] { fs::remove(folder / "a"); },
        [&](Disk& disk) { write_file_atomically(folder / "a", text, disk); },
        [&](bool failed) {
          const std::string found = bytes_of(folder / "a");
          EXPECT_TRUE(found == text || (failed && found == "<absent>")) << found.size();
        });
}

TEST(AtomicFile, AFolderThatIsNotThereIsNamed) {
  const TempFolder folder;
  try {
    write_file_atomically(folder / "no/a", "x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMissingInput);
    EXPECT_THAT(e.what(), HasSubstr("no/a.tmp-"));
  }
}

class CommitFolder : public testing::Test {
 protected:
  void prepare() const {
    fs::remove_all(folder_.path());
    folder_.put("new/one", "new one");
    folder_.put("new/below/two", "new two");
    if (old_) {
      folder_.put("final/one", "old one");
      folder_.put("final/three", "old three");
    }
  }
  static bool is_new(const fs::path& path) {
    return bytes_of(path / "one") == "new one" && bytes_of(path / "below/two") == "new two" &&
           !fs::exists(path / "three");
  }
  static bool is_old(const fs::path& path) {
    return bytes_of(path / "one") == "old one" && bytes_of(path / "three") == "old three" &&
           !fs::exists(path / "below");
  }
  void check(bool failed) const {
    const fs::path final_path = folder_ / "final";
    if (!failed) {
      EXPECT_TRUE(is_new(final_path));
      EXPECT_THAT(folder_.names(), ElementsAre("final"));
      return;
    }
    if (old_) {
      EXPECT_TRUE(is_new(final_path) || is_old(final_path));
    } else {
      EXPECT_TRUE(is_new(final_path) || !fs::exists(final_path));
    }
    EXPECT_TRUE(is_new(final_path) || is_new(folder_ / "new"));
    for (const std::string& name : folder_.names()) {
      EXPECT_TRUE(name == "new" || name == "final" || name.find(".tmp-") != std::string::npos)
          << name;
    }
  }

  TempFolder folder_;
  bool old_ = false;
};

TEST_F(CommitFolder, EveryFailingCallLeavesNothingOrTheWholeFolder) {
  sweep([&] { prepare(); },
        [&](Disk& disk) { commit_folder(folder_ / "new", folder_ / "final", disk); },
        [&](bool failed) { check(failed); });
}

TEST_F(CommitFolder, EveryFailingCallLeavesTheOldFolderOrTheNewOne) {
  old_ = true;
  sweep([&] { prepare(); },
        [&](Disk& disk) { commit_folder(folder_ / "new", folder_ / "final", disk); },
        [&](bool failed) { check(failed); });
}

TEST_F(CommitFolder, ReplacesWithoutAnExchangeToo) {
  old_ = true;
  sweep([&] { prepare(); },
        [&](Disk& disk) {
          static_cast<FaultyDisk&>(disk).cannot_exchange();
          commit_folder(folder_ / "new", folder_ / "final", disk);
        },
        [&](bool failed) { check(failed); });
}

TEST_F(CommitFolder, CollectsWhatAKilledOneLeftAside) {
  prepare();
  folder_.put("final.tmp-1-old/one", "left");
  folder_.put("finals.tmp-1-old/one", "another's");
  commit_folder(folder_ / "new", folder_ / "final");
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("final", "finals.tmp-1-old"));
}

TEST_F(CommitFolder, RecoversTheOldFolderWhenThereIsNoNewOne) {
  folder_.put("kept/one", "new");
  folder_.put("kept.tmp-1-old/one", "old");
  folder_.put("lost.tmp-1-old/one", "old");
  recover_commits(folder_.path());
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("kept", "lost"));
  EXPECT_EQ(bytes_of(folder_ / "kept/one"), "new");
  EXPECT_EQ(bytes_of(folder_ / "lost/one"), "old");
}

TEST_F(CommitFolder, SyncsEveryFileAndFolderBeforeTheRename) {
  prepare();
  FaultyDisk disk;
  commit_folder(folder_ / "new", folder_ / "final", disk);
  EXPECT_THAT(disk.trace(), testing::IsSupersetOf(
                                {"sync one", "sync two", "sync_folder new", "sync_folder below"}));
  ASSERT_GE(disk.trace().size(), 2U);
  EXPECT_EQ(disk.trace()[disk.trace().size() - 2], "rename final");
}

TEST_F(CommitFolder, AMissingFolderIsNamed) {
  try {
    commit_folder(folder_ / "absent", folder_ / "final");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMissingInput);
    EXPECT_THAT(e.what(), HasSubstr("absent"));
  }
}

ExitCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.code();
  }
  return ExitCode::kOk;
}

TEST(ReadFile, ReadsWholeFilesAndRefusesTheRest) {
  const TempFolder folder;
  const std::string text = big_text();
  EXPECT_EQ(read_file(folder.put("a", text)), text);
  EXPECT_EQ(read_file(folder.put("empty", "")), "");
  EXPECT_EQ(read_file(folder / "a", text.size()), text);
  EXPECT_EQ(code_of([&] { (void)read_file(folder / "a", text.size() - 1); }), ExitCode::kData);
  EXPECT_EQ(code_of([&] { (void)read_file(folder / "absent"); }), ExitCode::kMissingInput);
  EXPECT_EQ(code_of([&] { (void)read_file(folder.path()); }), ExitCode::kMissingInput);
  // Its size is said to be 0.
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));
}

TEST(FileSha256, DigestsTheBytes) {
  const TempFolder folder;
  EXPECT_EQ(file_sha256(folder.put("a", "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string text(std::size_t{3} << 20, 'x');
  EXPECT_EQ(file_sha256(folder.put("b", text)), sha256_hex(text));
  EXPECT_EQ(code_of([&] { (void)file_sha256(folder / "absent"); }), ExitCode::kMissingInput);
}

TEST(PosixDisk, AppendsAndRemoves) {
  const TempFolder folder;
  posix_disk().make_folders(folder / "x/y");
  const fs::path path = folder / "x/y/log";
  for (const char* text : {"one\n", "two\n"}) {
    const auto file = posix_disk().append(path);
    file->write(text);
    file->close();
  }
  EXPECT_EQ(bytes_of(path), "one\ntwo\n");
  posix_disk().remove_all(folder / "x");
  posix_disk().remove_all(folder / "x");  // absent is fine
  EXPECT_FALSE(fs::exists(folder / "x"));
}

}  // namespace
}  // namespace nativo::io
