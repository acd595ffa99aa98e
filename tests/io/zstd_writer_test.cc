#include "io/zstd_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "io/faulty_disk.h"
#include "io/lines.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;

std::string noise(std::size_t size) {
  Rng rng(11);
  std::string text;
  while (text.size() < size) text += std::to_string(rng.next()) + "\n";
  text.resize(size);
  return text;
}

WrittenFile write(const fs::path& path, std::string_view text, std::size_t piece,
                  Disk& disk = posix_disk()) {
  ZstdWriter writer(path, disk);
  for (std::size_t pos = 0; pos < text.size(); pos += piece) writer.write(text.substr(pos, piece));
  return writer.commit();
}

TEST(ZstdWriter, WhatIsWrittenIsReadAndAccountedFor) {
  const TempFolder folder;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{5}, std::size_t{1} << 17, std::size_t{1'000'003}}) {
    const std::string text = noise(size);
    const WrittenFile written = write(folder / "a.zst", text, 1000);
    EXPECT_EQ(read_decompressed(folder / "a.zst"), text);
    EXPECT_EQ(written.name, "a.zst");
    EXPECT_EQ(written.bytes, fs::file_size(folder / "a.zst"));
    EXPECT_EQ(written.sha256, file_sha256(folder / "a.zst"));
    EXPECT_LT(written.bytes, size / 2 + 30);  // digits: 3.3 of 8 bits
  }
}

TEST(ZstdWriter, EqualInputGivesEqualBytesHoweverItIsCut) {
  const TempFolder folder;
  for (const std::size_t size :
       {std::size_t{1} << 17, std::size_t{1} << 18, std::size_t{700'001}}) {
    const std::string text = noise(size);
    const std::string digest = write(folder / "a", text, size).sha256;
    for (const std::size_t piece : {7, 4096, 131072, 131073}) {
      EXPECT_EQ(write(folder / "b", text, piece).sha256, digest)
          << size << " in pieces of " << piece;
    }
  }
}

TEST(ZstdWriter, EveryFailingCallLeavesTheOldFileOrTheNewOne) {
  const TempFolder folder;
  const std::string text = noise(600'000);
  FaultyDisk counting;
  write(folder / "a", text, 5000, counting);
  const std::string whole = bytes_of(folder / "a");
  ASSERT_GE(counting.calls(), 8);  // several writes
  for (int call = 1; call <= counting.calls(); ++call) {
    for (const bool for_good : {false, true}) {
      SCOPED_TRACE(counting.trace()[static_cast<std::size_t>(call) - 1]);
      folder.put("a", "old");
      FaultyDisk disk({.call = call, .error_number = ENOSPC, .for_good = for_good, .torn = true});
      try {
        write(folder / "a", text, 5000, disk);
        ADD_FAILURE() << "the failure was swallowed";
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ExitCode::kTryAgain);
      }
      disk.cut_power();
      EXPECT_EQ(bytes_of(folder / "a"), call == counting.calls() ? whole : "old");
      EXPECT_THAT(folder.names(), ElementsAre("a"));
    }
  }
}

TEST(ZstdWriter, WithoutCommitNothingAppears) {
  const TempFolder folder;
  {
    ZstdWriter writer(folder / "a");
    writer.write(noise(500'000));
    ZstdWriter moved = std::move(writer);
    moved.write("more");
  }
  EXPECT_THAT(folder.names(), ElementsAre());
}

}  // namespace
}  // namespace nativo::io
