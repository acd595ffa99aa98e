// What is put into a keyed log is there again, whatever ended the process; damage is seen.
#include "io/keyed_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/faulty_disk.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;

TEST(KeyedLog, RemembersAcrossOpenings) {
  const TempFolder folder;
  {
    KeyedLog log(folder / "cache");
    EXPECT_EQ(log.find("a"), std::nullopt);
    log.put("a", "one");
    log.put("b-2", "perché \x01 \"x\"");
    log.put("a", "two");  // the first one stays
    EXPECT_EQ(log.find("a"), "one");
    log.sync();
  }
  std::vector<std::string> seen;
  KeyedLog log(folder / "cache", [&](std::string_view key, std::string_view value) {
    seen.push_back(fmt::format("{}={}", key, value));
  });
  EXPECT_THAT(seen, ElementsAre("a=one", "b-2=perché \x01 \"x\"", "a=two"));
  EXPECT_EQ(log.find("a"), "one");
  EXPECT_EQ(log.find("b-2"), "perché \x01 \"x\"");
  EXPECT_EQ(log.find("c"), std::nullopt);
  EXPECT_EQ(log.keys(), 2U);
  log.put("c", "");
  EXPECT_EQ(log.find("c"), "");
  EXPECT_EQ(log.damaged(), 0U);
}

TEST(KeyedLog, EveryTruncationLosesTheLastLineOnly) {
  const TempFolder folder;
  std::vector<std::size_t> ends = {0};
  {
    KeyedLog log(folder / "cache");
    for (int i = 0; i < 4; ++i) {
      log.put(fmt::format("k{}", i), fmt::format("value {}", i));
      ends.push_back(fs::file_size(folder / "cache/log-00000.log"));
    }
  }
  const std::string whole = bytes_of(folder / "cache/log-00000.log");
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    folder.put("cache/log-00000.log", whole.substr(0, length));
    std::size_t sound = 0;
    while (sound < 4 && ends[sound + 1] <= length) ++sound;
    {
      KeyedLog log(folder / "cache");
      ASSERT_EQ(log.keys(), sound) << length;
      log.put("new", "x");  // behind a torn end
    }
    KeyedLog log(folder / "cache");
    // A line that lacks nothing but its end is whole once something follows.
    const std::size_t whole_again = sound < 4 && length + 1 == ends[sound + 1] ? 1 : 0;
    ASSERT_EQ(log.keys(), sound + whole_again + 1) << length;
    ASSERT_EQ(log.find("new"), "x") << length;
    for (std::size_t i = 0; i < sound; ++i) {
      ASSERT_EQ(log.find(fmt::format("k{}", i)), fmt::format("value {}", i));
    }
  }
}

TEST(KeyedLog, AFlippedBitLosesItsLineOnly) {
  const TempFolder folder;
  {
    KeyedLog log(folder / "cache");
    for (int i = 0; i < 3; ++i) log.put(fmt::format("k{}", i), fmt::format("value {}", i));
  }
  const std::string whole = bytes_of(folder / "cache/log-00000.log");
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    folder.put("cache/log-00000.log", bytes);
    const KeyedLog log(folder / "cache");
    std::size_t right = 0;
    for (int i = 0; i < 3; ++i) {
      const auto found = log.find(fmt::format("k{}", i));
      if (!found) continue;
      ASSERT_EQ(*found, fmt::format("value {}", i)) << bit;
      ++right;
    }
    ASSERT_GE(right, 1U) << bit;  // a lost line end costs two
    ASSERT_LE(right, 2U) << bit;
    // Without its last line end the file looks torn, which is no damage.
    ASSERT_TRUE(log.damaged() > 0 || bit / 8 + 1 == whole.size());
  }
}

TEST(KeyedLog, DamageBehindItsBackIsSeen) {
  const TempFolder folder;
  KeyedLog log(folder / "cache");
  log.put("a", "one");
  std::fstream file(folder / "cache/log-00000.log", std::ios::in | std::ios::out);
  file.seekp(12);
  file.put('0');
  file.close();
  EXPECT_EQ(log.find("a"), std::nullopt);
}

TEST(KeyedLog, TwoWritersHaveTwoFilesAndReadEachOthers) {
  const TempFolder folder;
  {
    KeyedLog first(folder / "cache");
    KeyedLog second(folder / "cache");
    first.put("a", "1");
    second.put("b", "2");
    EXPECT_EQ(second.find("a"), std::nullopt);  // written after the second had read
  }
  KeyedLog third(folder / "cache");
  EXPECT_EQ(third.find("a"), "1");
  EXPECT_EQ(third.find("b"), "2");
  third.put("c", "3");
  EXPECT_EQ(third.find("c"), "3");
}

TEST(KeyedLog, RefreshBringsWhatOthersWroteSince) {
  const TempFolder folder;
  KeyedLog first(folder / "cache");
  KeyedLog second(folder / "cache");
  second.put("b", "2");
  first.refresh();  // a file that was there
  EXPECT_EQ(first.find("b"), "2");
  KeyedLog third(folder / "cache");
  third.put("c", "3");
  second.put("d", "4");
  first.put("a", "1");
  first.put("d", "mine");
  first.refresh();  // a new file, and more of an old one
  EXPECT_EQ(first.find("c"), "3");
  EXPECT_EQ(first.find("a"), "1");
  EXPECT_EQ(first.find("d"), "mine");  // the first one stays
  EXPECT_EQ(first.keys(), 4U);
  EXPECT_EQ(first.damaged(), 0U);
}

TEST(KeyedLog, ALineThatIsFinishedLaterIsReadThen) {
  const TempFolder folder;
  {
    KeyedLog writer(folder / "whole");
    writer.put("a", "1");
    writer.put("b", "2");
  }
  std::string bytes;
  std::getline(std::ifstream(folder / "whole/log-00000.log"), bytes, '\0');
  fs::create_directories(folder / "cache");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const fs::path path = folder / "cache" / "log-other-host-1.log";
    std::ofstream(path, std::ios::binary) << bytes.substr(0, cut);
    KeyedLog log(folder / "cache");
    std::ofstream(path, std::ios::binary | std::ios::app) << bytes.substr(cut);
    log.refresh();
    EXPECT_EQ(log.find("a"), "1") << cut;
    EXPECT_EQ(log.find("b"), "2") << cut;
    EXPECT_EQ(log.damaged(), 0U) << cut;
  }
}

TEST(KeyedLog, AFullDiskLosesNothingThatWasThere) {
  for (const bool torn : {false, true}) {
    const TempFolder folder;
    FaultyDisk disk;
    KeyedLog log(folder / "cache", {}, disk);
    log.put("a", "one");
    disk.set_fault({.call = disk.calls() + 1, .torn = torn});
    EXPECT_THROW(log.put("b", "two"), Error);
    disk.set_fault({});
    log.put("c", "three");
    EXPECT_EQ(log.find("a"), "one");
    EXPECT_EQ(log.find("b"), std::nullopt);
    EXPECT_EQ(log.find("c"), "three");
    const KeyedLog other(folder / "cache");  // takes another file, reads this one
    EXPECT_EQ(other.find("a"), "one");
    EXPECT_EQ(other.find("b"), std::nullopt);
    EXPECT_EQ(other.find("c"), "three");
  }
}

TEST(KeyedLog, AKilledProcessLosesNothingItPut) {
  const TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    KeyedLog log(folder / "cache");
    for (int i = 0; i < 100; ++i) log.put(fmt::format("k{}", i), "v");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(KeyedLog(folder / "cache").keys(), 100U);
}

}  // namespace
}  // namespace nativo::io
