#include "text/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace nativo::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> sentences(std::string_view text) {
  std::vector<std::string> all;
  for (const Segment& segment : split_segments(text, find_spans(text))) {
    if (segment.translatable) {
      all.emplace_back(text.substr(segment.begin, segment.end - segment.begin));
    }
  }
  return all;
}

TEST(SplitSegments, Sentences) {
  EXPECT_THAT(
      sentences("It rains. We stay in!  Mr. Smith, e.g. Tom, is 3.5 m tall. Why?"),
      ElementsAre("It rains.", "We stay in!", "Mr. Smith, e.g. Tom, is 3.5 m tall.", "Why?"));
  EXPECT_THAT(sentences("He said \"No.\" Then he left."),
              ElementsAre("He said \"No.\"", "Then he left."));
}

TEST(SplitSegments, AbbreviationsGoOn) {
  for (const std::string one :
       {"Il sig. Rossi e la Dott.ssa Bianchi arrivano domani.", "Secondo l'art. 5 della legge.",
        "Many fruits, e.g. Apples and pears.", "He joined the U.S. Army in May.",
        "Molte città, p. es. Roma e Milano.", "See Fig. 3 and No. 7 of vol. II here.",
        "Mr. J. A. Smith met Dr. Who at 5 p.m. Monday.", "Il prof. Verdi, cfr. pag. 12, lo nega.",
        "\"Why?\" he asked.", "It costs ca. 5 euros...and more.", "Wait... what is it?",
        "La S.p.A. Rossi di via S. Pietro.", "It costs $5 (incl. VAT) in the Dept. Store.",
        "Ci vediamo in C.so Italia, vd. Allegato B.", "As Smith et al. (2019) say."}) {
    EXPECT_THAT(sentences(one), ElementsAre(one));
  }
}

TEST(SplitSegments, AbbreviationsThatEnd) {
  EXPECT_THAT(
      sentences("He lives in the U.S. He likes it. Dogs, cats, etc. They bark."),
      ElementsAre("He lives in the U.S.", "He likes it.", "Dogs, cats, etc.", "They bark."));
  EXPECT_THAT(sentences("I said no. Then we left at 5 p.m. The end."),
              ElementsAre("I said no.", "Then we left at 5 p.m.", "The end."));
}

TEST(SplitSegments, QuotesEllipsesAndOtherMarks) {
  EXPECT_THAT(sentences("«Ma dove vai?» «A casa.» Aspetta… Poi parte."),
              ElementsAre("«Ma dove vai?»", "«A casa.»", "Aspetta…", "Poi parte."));
  EXPECT_THAT(sentences("Il s’est tu. ¿Cómo? 这是。那是。"),
              ElementsAre("Il s’est tu.", "¿Cómo?", "这是。", "那是。"));
  EXPECT_THAT(sentences("It ends (really.) It goes on.[^2] Here too."),
              ElementsAre("It ends (really.)", "It goes on.", "Here too."));
  EXPECT_THAT(sentences("**Bold one.** And *this.* Then `x`. `y` is next."),
              ElementsAre("Bold one.", "And *this.*", "Then `x`.", "`y` is next."));
}

TEST(SplitSegments, MarkupAroundAllOfItStaysOutside) {
  EXPECT_THAT(sentences("<p>First one.</p><p><b>Second</b> one.<br>Third.</p>"),
              ElementsAre("First one.", "<b>Second</b> one.", "Third."));
  EXPECT_THAT(sentences("✅ Done well 🎉\n- [x] **Buy milk**\n[the page](u)"),
              ElementsAre("Done well", "Buy milk", "the page"));
  EXPECT_THAT(sentences("First line\\nSecond line"), ElementsAre("First line", "Second line"));
  EXPECT_THAT(sentences("You have {n, plural, one {# file} other {# files}} left."),
              ElementsAre("You have", "# file", "# files", "left."));
}

TEST(SplitSegments, MarkersStayOutside) {
  EXPECT_THAT(sentences("# Title\n\n1. First thing\n2) Second thing\n- a dash\n> quoted\n  * deep"),
              ElementsAre("Title", "First thing", "Second thing", "a dash", "quoted", "deep"));
  EXPECT_THAT(sentences("## A title ##\n• one dot\n(a) first\n(iv) fourth\n1) second\n— said he"),
              ElementsAre("A title", "one dot", "first", "fourth", "second", "said he"));
  EXPECT_THAT(sentences("| Name | Age |\n|---|---|\n| Anna Rossi | 12 |"),
              ElementsAre("Name", "Age", "Anna Rossi"));
}

TEST(SplitSegments, NothingToTranslate) {
  EXPECT_THAT(sentences("```\nfor x in y:\n```"), IsEmpty());
  EXPECT_THAT(sentences("12 + 3 = 15\n\n$x$ 7"), IsEmpty());
  EXPECT_THAT(sentences(""), IsEmpty());
}

TEST(SplitSegments, SpansAreNeverCut) {
  const std::string text = "The list [\"a. B\", \"c! D\"] and `x. Y` stay. Good.";
  EXPECT_THAT(sentences(text),
              ElementsAre("The list [\"a. B\", \"c! D\"] and `x. Y` stay.", "Good."));
}

TEST(SplitSegments, PiecesJoinedAreTheText) {
  constexpr std::string_view kPool = "abI1 .,!?$`{}[]<>\\/\n\n~|%(=):;\"'#-*>  é";
  Rng rng(11);
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    const std::size_t length = rng.below(80);
    for (std::size_t i = 0; i < length; ++i) text += kPool[rng.below(kPool.size())];
    const std::vector<Span> spans = find_spans(text);
    std::size_t end = 0;
    for (const Segment& segment : split_segments(text, spans)) {
      ASSERT_EQ(segment.begin, end) << text;
      ASSERT_LT(segment.begin, segment.end) << text;
      end = segment.end;
      for (const Span& span : spans) {
        ASSERT_FALSE(span.begin < segment.end && segment.end < span.end) << text;
      }
    }
    ASSERT_EQ(end, text.size()) << text;
  }
}

}  // namespace
}  // namespace nativo::text
