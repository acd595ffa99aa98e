#include "text/normalize.h"

#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"

namespace nativo::text {
namespace {

TEST(FoldText, CaseSpaceAndPunctuationDoNotDiffer) {
  const std::string folded = fold_text("Venezia è costruita sull'acqua: bella, no?");
  EXPECT_EQ(folded, "venezia è costruita sull acqua bella no");
  EXPECT_EQ(fold_text("  VENEZIA\n\nÈ COSTRUITA SULL’ACQUA — BELLA... NO"), folded);
  EXPECT_EQ(fold_text("ﬁne"), "fine") << "NFKC opens ligatures";
  EXPECT_EQ(fold_text("perche\u0301"), fold_text("perché")) << "composed = decomposed";
}

TEST(FoldText, WhatChangesTheMeaningStays) {
  EXPECT_NE(fold_text("5 - 3"), fold_text("5 * 3"));
  EXPECT_NE(fold_text("5-3"), fold_text("5/3"));
  EXPECT_NE(fold_text("x > 0"), fold_text("x < 0"));
  EXPECT_NE(fold_text("10%"), fold_text("10"));
  EXPECT_EQ(fold_text("3.5"), fold_text("3,5"));
  EXPECT_NE(fold_text("```\na[1]\n```"), fold_text("```\na(1)\n```")) << "code keeps its marks";
  EXPECT_EQ(fold_text("```\na   =  1\n```"), fold_text("```\na = 1\n```"));
}

TEST(Prose, DropsWhatIsNoLanguage) {
  EXPECT_EQ(prose("Usa `x = 1` e\n```py\nprint(1)\n```\nfine"), "Usa   e\n\n\n\nfine");
  EXPECT_EQ(prose("vedi https://a.it/b?c=d qui"), "vedi   qui");
  EXPECT_EQ(prose("<b>ciao</b> 3 < 5"), " ciao  3 < 5");
  EXPECT_EQ(prose("sia $n+1$ pari"), "sia   pari");
  EXPECT_EQ(prose("costa $5 e $6"), "costa $5 e $6");
  EXPECT_EQ(prose("---\nid: x\n---\ntesto"), "testo");
  EXPECT_EQ(prose("aperto ` e basta"), "aperto ` e basta");
  EXPECT_EQ(prose("Usa `x`", Inline::kKeep), "Usa `x`");
}

TEST(Fences, FollowCommonMark) {
  EXPECT_TRUE(fences_closed("niente"));
  EXPECT_TRUE(fences_closed("```\na\n```"));
  EXPECT_FALSE(fences_closed("```\na"));
  EXPECT_TRUE(fences_closed("````\n```\n````")) << "a longer fence holds a shorter one";
  EXPECT_FALSE(fences_closed("```\na\n```js"));
  EXPECT_TRUE(fences_closed("~~~\n```\n~~~"));
  EXPECT_TRUE(fences_closed("Titolo\n~~~~~~\n\ntesto")) << "reStructuredText's underline";
  EXPECT_TRUE(fences_closed("``` così `` ")) << "inline code in a line";
}

TEST(NextCodePoint, RefusesWhatIsNotUtf8) {
  for (const std::string bad : {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                "\x80", "\xFF", "\xE2\x82"}) {
    std::size_t at = 0;
    EXPECT_EQ(next_code_point(bad, at), char32_t{0xFFFD});
    EXPECT_EQ(at, 1U);
  }
  const std::string text = "aè€😀";
  std::size_t at = 0;
  EXPECT_EQ(next_code_point(text, at), U'a');
  EXPECT_EQ(next_code_point(text, at), U'è');
  EXPECT_EQ(next_code_point(text, at), U'€');
  EXPECT_EQ(next_code_point(text, at), U'😀');
  EXPECT_EQ(at, text.size());
}

}  // namespace
}  // namespace nativo::text
