// Archives that are what they say are unpacked whole; all others are refused before a byte lies
// under its name.
#include "io/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "base/error.h"
#include "io/faulty_disk.h"
#include "io/temp_folder.h"
#include "io/zip_builder.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
    return error.what();
  }
  return "accepted";
}

/// What is said of an archive that holds a good file and `part`.
std::string refused(ZipPart part, const ZipLimits& limits = {}) {
  ZipBuilder zip;
  zip.add("good.txt", "good");
  zip.add(std::move(part));
  return refusal([&] {
    const ZipArchive archive(zip.bytes(), "x.zip", limits);
    for (const ZipEntry& entry : archive.files()) (void)archive.read(entry, 1 << 24);
  });
}

std::string same(const ZipEntry& entry) { return entry.name; }

TEST(ZipArchive, ReadsStoredAndDeflatedFiles) {
  const std::string big(300'000, 'x');
  const std::string bytes = ZipBuilder()
                                .add({.name = "top/", .mode = 040755})
                                .add("top/a.txt", "stored")
                                .add({.name = "top/sub/b", .data = big, .deflate = true})
                                .add("top/perché.txt", "")
                                .bytes();
  const ZipArchive archive(bytes, "x.zip");
  ASSERT_EQ(archive.files().size(), 3U);
  EXPECT_EQ(archive.read(*archive.find("top/a.txt"), 100), "stored");
  EXPECT_EQ(archive.read(*archive.find("top/sub/b"), big.size()), big);
  EXPECT_EQ(archive.read(*archive.find("top/perché.txt"), 0), "");
  EXPECT_EQ(archive.find("top"), nullptr);
  EXPECT_THAT(refusal([&] { (void)archive.read(*archive.find("top/sub/b"), 100); }),
              HasSubstr("\"top/sub/b\" has 300000 bytes, more than 100"));
}

TEST(ZipArchive, UnpacksWhatIsWanted) {
  const TempFolder folder;
  const auto path = folder.put(
      "x.zip",
      ZipBuilder().add("top/a.txt", "1").add("top/no.pt", "2").add("top/model/m.bin", "3").bytes());
  const ZipArchive archive(path);
  std::uint64_t seen = 0;
  const auto target = [](const ZipEntry& entry) {
    return entry.name == "top/no.pt" ? "" : entry.name.substr(4);
  };
  EXPECT_TRUE(archive.unpack(folder / "out", target, [&](std::uint64_t n) { seen += n; }));
  EXPECT_EQ(bytes_of(folder / "out/a.txt"), "1");
  EXPECT_EQ(bytes_of(folder / "out/model/m.bin"), "3");
  EXPECT_EQ(bytes_of(folder / "out/no.pt"), "<absent>");
  EXPECT_EQ(seen, 2U);
  EXPECT_THAT(folder.names(), ElementsAre("out", "x.zip"));
  // What is there stays.
  folder.put("out/a.txt", "mine");
  EXPECT_FALSE(archive.unpack(folder / "out", target));
  EXPECT_EQ(bytes_of(folder / "out/a.txt"), "mine");
  EXPECT_THAT(folder.names(), ElementsAre("out", "x.zip"));
}

TEST(ZipArchive, NamesThatLeadElsewhereAreRefused) {
  for (const std::string name :
       {"../evil", "a/../../evil", "a/..", "./a", "a/./b", "a//b", "/etc/passwd", "/", "a\\b",
        "..\\evil", "C:/evil", "a\nb", "a\x1b[31mb",
        "a\xff"
        "b",
        "a\xe2\x80\xae"
        "b"}) {
    EXPECT_THAT(refused({.name = name, .data = "x"}), HasSubstr("x.zip: ")) << name;
  }
  EXPECT_THAT(refused({.name = "", .data = "x"}), HasSubstr("has no name"));
  EXPECT_THAT(refused({.name = std::string(300, 'a'), .data = "x"}), HasSubstr("too long a name"));
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += "d/";
  EXPECT_THAT(refused({.name = deep + "f", .data = "x"}), HasSubstr("too many folders"));
}

TEST(ZipArchive, NamesThatMeetAreRefused) {
  EXPECT_THAT(refused({.name = "good.txt", .data = "x"}), HasSubstr("two entries of one name"));
  EXPECT_THAT(refused({.name = "GOOD.TXT", .data = "x"}), HasSubstr("case does not count"));
  EXPECT_THAT(refused({.name = "good.txt/below", .data = "x"}), HasSubstr("below another file"));
  EXPECT_THAT(refused({.name = "Good.txt/", .mode = 040755}), HasSubstr("the name of another"));
  ZipBuilder zip;
  zip.add("a/b", "x").add("A", "y");
  EXPECT_THAT(refusal([&] { ZipArchive(zip.bytes(), "x.zip"); }), HasSubstr("name of a folder"));
}

TEST(ZipArchive, OnlyPlainFilesAreTaken) {
  EXPECT_THAT(refused({.name = "l", .data = "/etc/passwd", .mode = 0120777}),
              HasSubstr("is a symbolic link"));
  EXPECT_THAT(refused({.name = "f", .data = "", .mode = 0010644}), HasSubstr("no plain file"));
  EXPECT_THAT(refused({.name = "f", .data = "", .mode = 0040755}), HasSubstr("no plain file"));
  EXPECT_THAT(refused({.name = "f/", .data = "x", .mode = 0040755}), HasSubstr("with content"));
  EXPECT_THAT(refused({.name = "e", .data = "x", .flags = 1}), HasSubstr("encrypted"));
  EXPECT_THAT(refused({.name = "e", .data = "x", .method = 12}), HasSubstr("method 12"));
  EXPECT_EQ(refused({.name = "windows", .data = "x", .mode = 0}), "accepted");
}

TEST(ZipArchive, LiesAreFound) {
  EXPECT_THAT(refused({.name = "c", .data = "some bytes", .crc = 1}),
              HasSubstr("\"c\" is damaged"));
  EXPECT_THAT(refused({.name = "c", .data = "some bytes", .deflate = true, .crc = 1}),
              HasSubstr("\"c\" is damaged"));
  EXPECT_NE(refused({.name = "s", .data = std::string(99, 'a'), .deflate = true, .size = 98}),
            "accepted");
  EXPECT_NE(refused({.name = "s", .data = std::string(99, 'a'), .deflate = true, .size = 100}),
            "accepted");
  EXPECT_NE(refused({.name = "s", .data = "abc", .packed_size = 2}), "accepted");
  EXPECT_NE(refused({.name = "s", .data = "abc", .packed_size = 4000}), "accepted");
  EXPECT_NE(refused({.name = "n", .data = "abc", .local_name = "m"}), "accepted");
  EXPECT_NE(refused({.name = "o", .data = "abc", .offset = 0}), "accepted");  // another's bytes
  EXPECT_NE(refused({.name = "o", .data = "abc", .offset = 0xFFFFFF}), "accepted");
  // Zip64: sizes in an extra field that is not there, or that says more than there is.
  EXPECT_NE(refused({.name = "z", .data = "abc", .size = 0xFFFFFFFF}), "accepted");
  std::string extra;
  ZipBuilder::put(extra, 1, 2);
  ZipBuilder::put(extra, 8, 2);
  ZipBuilder::put(extra, std::uint64_t{1} << 62, 8);
  EXPECT_NE(refused({.name = "z", .data = "abc", .size = 0xFFFFFFFF, .extra = extra}), "accepted");
  const ZipBuilder one = ZipBuilder().add("a", "x");
  for (const std::size_t count : {0, 2, 60000}) {
    EXPECT_NE(refusal([&] { ZipArchive(one.bytes(count), "x.zip"); }), "accepted") << count;
  }
}

TEST(ZipArchive, EntriesOverOneAnotherAreRefused) {
  // Both entries own the same bytes, local names and all.
  ZipBuilder zip;
  zip.add("a", std::string(4096, 'a'));
  zip.add({.name = "b", .data = "", .size = 4096, .packed_size = 4096, .offset = 0});
  EXPECT_NE(refusal([&] { ZipArchive(zip.bytes(), "x.zip"); }), "accepted");
}

TEST(ZipArchive, BombsAreRefused) {
  const std::string zeros(std::size_t{8} << 20, '\0');
  EXPECT_THAT(refused({.name = "bomb", .data = zeros, .deflate = true}),
              HasSubstr("more than 200 times its size"));
  EXPECT_EQ(refused({.name = "small", .data = std::string(1 << 19, '\0'), .deflate = true}),
            "accepted");
  EXPECT_THAT(refused({.name = "much", .data = std::string(100, 'a')}, {.bytes = 100}),
              HasSubstr("has more than 100 B when unpacked"));
  EXPECT_EQ(refused({.name = "just", .data = std::string(96, 'a')}, {.bytes = 100}), "accepted");
  EXPECT_THAT(refused({.name = "one", .data = ""}, {.entries = 1}),
              HasSubstr("has 2 entries, more than 1"));
}

TEST(ZipArchive, EveryTruncationAndEveryFlippedBitIsSurvived) {
  const std::string bytes =
      ZipBuilder()
          .add("top/a.txt", "stored words")
          .add({.name = "top/b", .data = std::string(500, 'y'), .deflate = true})
          .bytes();
  const auto use = [](std::string damaged) {
    try {
      const ZipArchive archive(std::move(damaged), "x.zip");
      std::string all;
      for (const ZipEntry& entry : archive.files()) all += archive.read(entry, 1 << 20);
      return all;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      return std::string("refused");
    }
  };
  const std::string whole = use(bytes);
  EXPECT_EQ(whole.size(), 512U);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(use(bytes.substr(0, size)), "refused") << size;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      const std::string got = use(damaged);
      // Dates and attributes may change unseen; content may not.
      EXPECT_TRUE(got == "refused" || got == whole) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(ZipArchive, UnpackingFailsWhole) {
  const TempFolder folder;
  const auto path = folder.put(
      "x.zip", ZipBuilder().add("a", "fine").add({.name = "b", .data = "bytes", .crc = 7}).bytes());
  EXPECT_THAT(refusal([&] { ZipArchive(path).unpack(folder / "out", same); }),
              HasSubstr("\"b\" is damaged"));
  EXPECT_THAT(folder.names(), ElementsAre("x.zip"));
  const auto good = folder.put("x.zip", ZipBuilder().add("a", "fine").add("s/b", "too").bytes());
  FaultyDisk counting;
  EXPECT_TRUE(ZipArchive(good).unpack(folder / "out", same, {}, counting));
  for (int call = 1; call <= counting.calls(); ++call) {
    std::filesystem::remove_all(folder / "out");
    FaultyDisk disk({call, ENOSPC, true, false});
    try {
      (void)ZipArchive(good).unpack(folder / "out", same, {}, disk);
      ADD_FAILURE() << "the failure of call " << call << " was swallowed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    }
    const std::string b = bytes_of(folder / "out/s/b");
    EXPECT_TRUE(b == "<absent>" || (b == "too" && bytes_of(folder / "out/a") == "fine")) << b;
  }
}

TEST(ZipArchive, AbsentFilesAndFolders) {
  const TempFolder folder;
  try {
    ZipArchive(folder / "none.zip");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kMissingInput);
  }
  EXPECT_THAT(refusal([&] { ZipArchive(folder.path()); }), HasSubstr("is no file"));
  EXPECT_THAT(refusal([&] { ZipArchive(folder.put("x", "no archive")); }),
              HasSubstr("not a usable zip archive"));
}

}  // namespace
}  // namespace nativo::io
