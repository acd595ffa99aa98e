// Escaping, numbers and templates of the report's page.
#include "report/html.h"

#include <gtest/gtest.h>

#include <limits>

namespace nativo::report {
namespace {

TEST(Html, EscapesMarkupAndInvisibleCharacters) {
  EXPECT_EQ(escape("<a href=\"x\">&'</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(escape("perché\n\tno"), "perché\n\tno");
  EXPECT_EQ(escape("a\u202Eb\xFF"), "a\\u{202e}b\uFFFD");
}

TEST(Html, JsonInAScriptCannotEndIt) {
  const Json value = {{"a", "</script><!--&"}};
  const std::string text = script_json(value);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(Json::parse(text), value);
}

TEST(Html, ScriptHashes) {
  // SHA-256 of nothing and of "abc" (FIPS 180-4) in base 64.
  EXPECT_EQ(script_hash(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
  EXPECT_EQ(script_hash("abc"), "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='");
}

TEST(Html, TemplatesAreFilledOnce) {
  const auto fill = [](std::string_view name) { return std::string(name).append("{{b}}"); };
  EXPECT_EQ(fill_template("x {{a}} y {{b}} z {{", fill), "x a{{b}} y b{{b}} z {{");
}

TEST(Html, Numbers) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(short_number(12648960), "12.6 M");
  EXPECT_EQ(short_number(7.24e9), "7.24 G");
  EXPECT_EQ(short_number(23076.9), "23.1 k");
  EXPECT_EQ(short_number(1234), "1,234");
  EXPECT_EQ(short_number(41.3), "41.3");
  EXPECT_EQ(short_number(std::numeric_limits<double>::quiet_NaN()), "–");
  EXPECT_EQ(plain_number(412.61), "412.6");
  EXPECT_EQ(plain_number(-0.51234), "−0.5123");
  EXPECT_EQ(plain_number(54321.9), "54,322");
  EXPECT_EQ(plain_number(1e300), "1e+300");
}

}  // namespace
}  // namespace nativo::report
