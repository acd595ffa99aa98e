#include "io/range_digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/scratch.h"
#include "io/file.h"

namespace nativo::io {
namespace {

using ::testing::HasSubstr;

TEST(RangeDigestTest, EveryByteIsVouchedFor) {
  const fs::path folder = scratch_path();
  fs::create_directories(folder);
  const fs::path path = folder / "file";
  const std::string bytes = "0123456789";
  write_file_atomically(path, bytes);
  const std::vector<RangeDigest> ranges = {{0, 4, sha256_hex("0123")},
                                           {4, 10, sha256_hex("456789")}};
  check_ranges(path, ranges);
  EXPECT_EQ(ranges_from_json(to_json({ranges[1], ranges[0]}), "x"), ranges);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string other = bytes;
    other[i] = 'x';
    write_file_atomically(path, other);
    EXPECT_THROW(check_ranges(path, ranges), Error) << i;
  }
  for (const std::string& other : {bytes + "0", bytes.substr(0, 9), std::string()}) {
    write_file_atomically(path, other);
    EXPECT_THROW(check_ranges(path, ranges), Error) << other;
  }
  fs::remove_all(folder);
  EXPECT_THROW(check_ranges(path, ranges), Error);
}

TEST(RangeDigestTest, RefusesWhatLeavesAGap) {
  for (const char* text :
       {"7", "[7]", "[[0,4]]", "[[0,4,7]]", "[[-1,4,\"a\"]]", "[[1,4,\"a\"]]", "[[0,0,\"a\"]]",
        "[[0,4,\"a\"],[5,6,\"a\"]]", "[[0,4,\"a\"],[3,6,\"a\"]]", "[[0,4.5,\"a\"]]"}) {
    EXPECT_THROW(static_cast<void>(ranges_from_json(parse_json(text, "x"), "x")), Error) << text;
  }
}

}  // namespace
}  // namespace nativo::io
