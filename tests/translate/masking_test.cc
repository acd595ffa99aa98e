#include "translate/masking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/protected_spans.h"

namespace nativo::translate {
namespace {

Sentence sentence(const std::string& text) {
  Sentence result{text, {}};
  for (const text::Span& span : text::find_spans(text)) {
    result.parts.push_back({span.begin, span.end, span.kind});
  }
  return result;
}

TEST(Masking, MarksAreBlanksAndTouchNoWord) {
  const Masked masked = mask(sentence("See **two** <b>words</b> of `x`."));
  EXPECT_EQ(masked.words, 4U);
  for (const std::string word : {"]two[", "]words["}) {
    EXPECT_NE(masked.stream.find(word), std::string::npos) << masked.stream;
  }
}

TEST(Masking, WhatIsHiddenComesBack) {
  for (const std::string text :
       {"Use `a[0]` and $x^2$ for {name}: 50% of $20, 12 * 4 = 48!",
        "a\\b ^c$ *d* [e] <f> @g #h ~i/j", "“Don't” – he said, 'yes' & no…",
        "The boys' house isn't Anna's."}) {
    Masked masked = mask(sentence(text));
    ASSERT_TRUE(masked.ok);
    const std::string stream = masked.stream;
    const Translation back = unmask(masked, stream, nullptr);
    EXPECT_TRUE(back.ok) << stream;
    EXPECT_EQ(back.text, text);
  }
}

TEST(Masking, NothingSpecialReachesTheStreamOutsideBlanks) {
  const Masked masked = mask(sentence("a\\b ^c$ *d* [e] <f> @g #h ~i/j {k} 12"));
  std::string outside;
  bool blank = false;
  for (const char c : masked.stream) {
    if (c == '[') blank = true;
    if (!blank) outside += c;
    if (c == ']') blank = false;
  }
  EXPECT_EQ(outside.find_first_of("\\^$*<>@#~/{}"), std::string::npos) << outside;
}

TEST(Masking, ArithmeticIsOneNumber) {
  const Masked masked = mask(sentence("There are 3 * (120 + x) = 360 trees for $5."));
  EXPECT_THAT(masked.units, ::testing::ElementsAre("3 * (120 + x) = 360", "$5"));
}

TEST(Masking, LostDoubledAndForeignUnitsAreSeen) {
  const Sentence s = sentence("Take 12 of `x`.");
  Masked masked = mask(s);
  const std::string stream = masked.stream;
  EXPECT_FALSE(unmask(masked, "Take 90000000.", nullptr).ok);
  EXPECT_FALSE(unmask(masked, stream + stream, nullptr).ok);
  EXPECT_FALSE(unmask(masked, stream + " 90000007", nullptr).ok);
  EXPECT_FALSE(unmask(masked, stream + " 5", nullptr).ok);
  EXPECT_TRUE(unmask(masked, stream, nullptr).ok);
}

TEST(Masking, MarksAreRemovedAndUnknownWordsCounted) {
  Masked masked = mask(sentence("the gnarly cat Bob"));
  EXPECT_EQ(masked.words, 4U);
  remask(masked, "el *gnarly gato *Bob #ser @es");
  EXPECT_EQ(masked.unknown, 1U);  // Bob is a name
  const std::string stream = masked.stream;
  const auto lookup = [](std::string_view word) {
    return word == "gato" ? std::string_view("gatto") : std::string_view();
  };
  const Translation result =
      unmask(masked, "il *" + stream.substr(3, 7) + " *gato *" + stream.substr(16, 7) + " #essere",
             lookup);
  EXPECT_TRUE(result.ok) << stream;
  EXPECT_EQ(result.text, "il gnarly gatto Bob essere");
  EXPECT_EQ(result.unknown, 1U);
}

TEST(Masking, EscapedMarksAreRemovedToo) {
  Masked masked = mask(sentence("the tiredness of @bob #help"));
  remask(masked, "el \\@tiredness \\#de");
  EXPECT_EQ(masked.stream, "el tiredness de");
  EXPECT_EQ(unmask(masked, "il \\@tiredness", nullptr).text, "il tiredness");
}

TEST(Masking, ATokenGluedToAnUnknownWordSurvives) {
  Masked masked = mask(sentence("see `x`"));
  const std::string token = masked.stream.substr(4);
  const Translation result = unmask(masked, "*foo" + token, nullptr);
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.text, "foo`x`");
}

TEST(Masking, ControlCharactersAndTooManyUnitsAreRefused) {
  EXPECT_FALSE(mask({"a\x01z", {}}).ok);
  std::string many;
  for (int i = 0; i < 1200; ++i) many += "a #";
  EXPECT_FALSE(mask({many, {}}).ok);
}

}  // namespace
}  // namespace nativo::translate
