// Plain, gzip and zstd text; and what is said about the damaged kind.
#include "io/lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "io/temp_folder.h"
#include "io/zstd_writer.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// One gzip member.
std::string gzip(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// One zstd frame, as we write them.
std::string zstd(const TempFolder& folder, const std::string& bytes) {
  ZstdWriter writer(folder / "frame.zst");
  writer.write(bytes);
  writer.commit();
  return bytes_of(folder / "frame.zst");
}

/// Hard to compress, so that cuts fall everywhere in the data.
std::string noise(std::size_t size) {
  Rng rng(7);
  std::string text;
  while (text.size() < size) text += std::to_string(rng.next()) + "\n";
  text.resize(size);
  return text;
}

std::vector<std::string> lines_of(const std::filesystem::path& path, std::size_t max_line = 1000) {
  LineReader reader(path, max_line);
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  EXPECT_EQ(reader.line_number(), lines.size());
  return lines;
}

/// The message of the Error(kData) that reading throws, without the folder; "" when it throws none.
std::string failure(const TempFolder& folder, const std::filesystem::path& path) {
  try {
    (void)read_decompressed(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    EXPECT_FALSE(e.hint().empty());
    const std::string message = e.what();
    return message.substr(message.find(folder.path().native()) + folder.path().native().size() + 1);
  }
  return {};
}

TEST(LineReader, SplitsAtNewlines) {
  const TempFolder folder;
  EXPECT_THAT(lines_of(folder.put("a", "one\ntwo\r\n\nlast")),
              ElementsAre("one", "two", "", "last"));
  EXPECT_THAT(lines_of(folder.put("a", "one\n")), ElementsAre("one"));
  EXPECT_THAT(lines_of(folder.put("a", "\n")), ElementsAre(""));
  EXPECT_THAT(lines_of(folder.put("a", "")), ElementsAre());
  EXPECT_THAT(lines_of(folder.put("a", "\r\n\r")), ElementsAre("", "\r"));
  EXPECT_THAT(lines_of(folder.put("a", std::string("a\0b\n", 4))),
              ElementsAre(std::string("a\0b", 3)));
}

TEST(LineReader, FormatsAreToldByContentNotByName) {
  const TempFolder folder;
  const std::string text = "uno\ndue\n";
  for (const std::string& bytes : {text, gzip(text), zstd(folder, text)}) {
    EXPECT_THAT(lines_of(folder.put("rows.jsonl", bytes)), ElementsAre("uno", "due"));
  }
  EXPECT_THAT(lines_of(folder.put("rows.gz", text)), ElementsAre("uno", "due"));
}

TEST(LineReader, LinesCrossEveryBuffer) {
  const TempFolder folder;
  const std::string text = noise(3'000'000);
  std::vector<std::string> lines;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t end = std::min(text.find('\n', pos), text.size());
    lines.push_back(text.substr(pos, end - pos));
    pos = end + 1;
  }
  for (const std::string& bytes : {text, gzip(text), zstd(folder, text)}) {
    EXPECT_EQ(lines_of(folder.put("a", bytes)), lines);
  }
  const std::string wide = std::string(500'000, 'x') + "\n" + std::string(400'000, 'y');
  EXPECT_THAT(lines_of(folder.put("a", wide), 500'000),
              ElementsAre(std::string(500'000, 'x'), std::string(400'000, 'y')));
}

TEST(LineReader, OverlongLinesAreRefusedWithTheirNumber) {
  const TempFolder folder;
  EXPECT_THAT(lines_of(folder.put("a", "12345\n12345\r\n12345"), 5),
              ElementsAre("12345", "12345", "12345"));
  for (const char* text : {"1\n123456\n", "1\n123456", "1\n123456\r\n", "1\n123456789\n"}) {
    const auto path = folder.put("a", text);
    LineReader reader(path, 5);
    std::string line;
    ASSERT_TRUE(reader.next(line));
    try {
      reader.next(line);
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kData);
      EXPECT_THAT(e.what(), HasSubstr("a:2: the line has more than 5 bytes"));
    }
  }
  // A bomb: 20 MB of one line in some 20 KB. Refused without holding it.
  const auto bomb = folder.put("bomb", gzip(std::string(20'000'000, 'a')));
  EXPECT_THROW((void)lines_of(bomb), Error);
}

TEST(ByteReader, MembersAndFramesFollowEachOther) {
  const TempFolder folder;
  const std::string text = noise(400'000);
  EXPECT_EQ(read_decompressed(folder.put("a", gzip("one\n") + gzip("") + gzip(text) + gzip("two"))),
            "one\n" + text + "two");
  const std::string skippable("\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_EQ(read_decompressed(folder.put("a", skippable + zstd(folder, text) + zstd(folder, "") +
                                                  skippable + zstd(folder, "two"))),
            text + "two");
}

TEST(ByteReader, EveryCutOfAGzipStreamIsFound) {
  const TempFolder folder;
  const std::string whole = gzip(noise(200));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(failure(folder, folder.put("a", whole.substr(0, size))),
                HasSubstr("a: gzip stream ends too early (truncated after "));
    const std::string second =
        failure(folder, folder.put("a", gzip("one") + whole.substr(0, size)));
    EXPECT_THAT(second, HasSubstr("gzip stream ends too early (truncated after "));
  }
  EXPECT_EQ(failure(folder, folder.put("a", gzip("one") + whole.substr(0, 12))),
            "a: gzip stream ends too early (truncated after 3 bytes of data)");
}

TEST(ByteReader, EveryCutOfAZstdStreamIsFound) {
  const TempFolder folder;
  const std::string whole = zstd(folder, noise(200));
  const std::string first = zstd(folder, "one");
  for (std::size_t size = 2; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_THAT(failure(folder, folder.put("a", whole.substr(0, size))),
                HasSubstr("a: zstd stream ends too early (truncated after "));
    EXPECT_THAT(
        failure(folder, folder.put("a", first + whole.substr(0, size))),
        HasSubstr(size < 200 / 3 ? "(truncated after 3 bytes of data)" : "(truncated after "));
  }
}

TEST(ByteReader, CutsInsideLargeStreamsAreFoundAfterTheData) {
  const TempFolder folder;
  const std::string text = noise(2'000'000);
  for (const std::string& whole : {gzip(text), zstd(folder, text)}) {
    const auto path = folder.put("a", whole.substr(0, whole.size() / 2));
    ByteReader reader(path);
    std::string have;
    try {
      for (std::string_view chunk = reader.next(); !chunk.empty(); chunk = reader.next()) {
        have += chunk;
      }
      FAIL() << "half a file was taken for a whole one";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("truncated after " + std::to_string(have.size()) + " bytes"));
    }
    EXPECT_GT(have.size(), text.size() / 3);
    EXPECT_TRUE(text.starts_with(have));
    EXPECT_THROW((void)reader.next(), Error);  // and again
  }
}

TEST(ByteReader, FlippedBitsAreFound) {
  const TempFolder folder;
  const std::string text = noise(300);
  for (const std::string& whole : {gzip(text), zstd(folder, text)}) {
    int refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      const auto path = folder.put("a", bytes);
      std::string read;
      try {
        read = read_decompressed(path);
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ExitCode::kData);
        ++refused;
        continue;
      }
      // What a header says about time and system, or a file that is plain now.
      EXPECT_TRUE(read == text || at < 4) << at;
    }
    EXPECT_GT(refused, static_cast<int>(whole.size()) - 16);
  }
  std::string bytes = gzip(text);
  bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 1);
  EXPECT_EQ(failure(folder, folder.put("a", bytes)),
            "a: damaged gzip stream after 300 bytes of data: incorrect data check");
}

TEST(ByteReader, SomethingElseBehindTheStreamIsRefused) {
  const TempFolder folder;
  for (const std::string& tail :
       {std::string("x"), std::string("plain text\n"), std::string(8, '\0')}) {
    EXPECT_EQ(failure(folder, folder.put("a", gzip("one") + tail)),
              "a: damaged gzip stream after 3 bytes of data: something else follows the compressed "
              "data");
    EXPECT_THAT(failure(folder, folder.put("a", zstd(folder, "one") + tail)),
                HasSubstr("zstd stream"));
  }
}

TEST(ByteReader, MissingFilesAndFoldersAreNamed) {
  const TempFolder folder;
  for (const auto& path : {folder / "absent", folder.path()}) {
    try {
      const ByteReader reader(path);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kMissingInput);
      EXPECT_THAT(e.what(), HasSubstr(path.native()));
    }
  }
}

TEST(ReadDecompressed, LimitsTheDecompressedSize) {
  const TempFolder folder;
  const auto path = folder.put("a", gzip(std::string(1'000'000, 'a')));
  EXPECT_EQ(read_decompressed(path, 1'000'000).size(), 1'000'000U);
  EXPECT_THROW((void)read_decompressed(path, 999'999), Error);
}

TEST(LineReader, SurvivesAMove) {
  const TempFolder folder;
  LineReader first(folder.put("a", "one\ntwo\n"));
  std::string line;
  ASSERT_TRUE(first.next(line));
  LineReader second = std::move(first);
  ASSERT_TRUE(second.next(line));
  EXPECT_EQ(line, "two");
  EXPECT_EQ(second.line_number(), 2U);
}

}  // namespace
}  // namespace nativo::io
