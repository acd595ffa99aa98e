#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nativo {
namespace {

using testing::ElementsAre;

TEST(Strings, Trim) {
  EXPECT_EQ(trim(" \t\r\n a b \v\f"), "a b");
  EXPECT_EQ(trim("  "), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\xC2\xA0x"), "\xC2\xA0x");  // only ASCII white space
}

TEST(Strings, Split) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
}

TEST(Strings, ReplaceAll) {
  EXPECT_EQ(replace_all("aaa", "a", "aa"), "aaaaaa");
  EXPECT_EQ(replace_all("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replace_all("abc", "x", "y"), "abc");
  EXPECT_EQ(replace_all("", "x", "y"), "");
}

TEST(Strings, NearestSuggestsOnlyWhatIsNear) {
  const std::vector<std::string> keys = {"steps", "seq_len", "warmup"};
  EXPECT_EQ(nearest("stepz", keys), "steps");
  EXPECT_EQ(nearest("seq_lne", keys), "seq_len");
  EXPECT_EQ(nearest("steps", keys), "steps");
  EXPECT_EQ(nearest("qqqqqqqqqqqqqq", keys), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Strings, PrintableShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("città\n\tok"), "città\n\tok");
  EXPECT_EQ(printable("\x1b[31mred"), "\\u{1b}[31mred");
  EXPECT_EQ(printable("\r"), "\\u{d}");
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b"),
            "a\\u{202e}b");  // right-to-left override
  EXPECT_EQ(printable("\xC2\x9B"
                      "x"),
            "\\u{9b}x");  // an 8-bit control sequence introducer
  EXPECT_EQ(printable("a\xFF"
                      "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_TRUE(is_valid_utf8(printable("\xED\xA0\x80\xC0\x80\xF8")));
}

TEST(Strings, ValidUtf8IsThatOfRfc3629) {
  for (const char* good : {"", "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                           "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
                          "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2\x28\xA1", "a\xC3"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << printable(bad);
  }
}

TEST(Strings, CodePointsAreCountedAndNeverCut) {
  EXPECT_EQ(count_code_points("perch\xC3\xA9 \xF0\x9F\x98\x80"), 8U);
  EXPECT_EQ(utf8_prefix("a\xC3\xA9", 2), "a");
  EXPECT_EQ(utf8_prefix("a\xC3\xA9", 3), "a\xC3\xA9");
  EXPECT_EQ(utf8_prefix("\xF0\x9F\x98\x80", 3), "");
  EXPECT_EQ(utf8_prefix("abc", 0), "");
}

TEST(Strings, HumanUnits) {
  EXPECT_EQ(human_bytes(640), "640 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(12.0 * 1024 * 1024), "12.0 MiB");
  EXPECT_EQ(human_bytes(5e15), "4547.5 TiB");
  EXPECT_EQ(human_duration(4.2), "4.2s");
  EXPECT_EQ(human_duration(200), "3m 20s");
  EXPECT_EQ(human_duration(3720), "1h 02m");
}

}  // namespace
}  // namespace nativo
