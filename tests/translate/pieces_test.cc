#include "translate/pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> sentences(std::string_view text, Grain grain) {
  std::vector<std::string> all;
  const Prepared message = prepare(text, {});
  for (const Piece& piece : cut(message, grain)) {
    if (piece.sentence) all.push_back(piece.sentence->text);
  }
  return all;
}

constexpr std::string_view kMessage =
    "\n  First part. It has `code`.\n\n```\nx = 1\n```\nAfter it, 12 eggs.\n\n- a "
    "list\n```\ny\n```\n";

TEST(Cut, AMessageKeepsItsInside) {
  EXPECT_THAT(sentences(kMessage, Grain::kMessage),
              ElementsAre("First part. It has `code`.\n\n```\nx = 1\n```\nAfter it, 12 eggs.\n\n"
                          "- a list"));
  EXPECT_THAT(sentences("```\ncode alone here\n```", Grain::kMessage), IsEmpty());
  EXPECT_THAT(sentences(" `a b` 12 ", Grain::kMessage), IsEmpty());
}

TEST(Cut, FinerGrains) {
  EXPECT_THAT(sentences(kMessage, Grain::kParagraphs),
              ElementsAre("First part. It has `code`.", "After it, 12 eggs.", "- a list"));
  EXPECT_THAT(sentences(kMessage, Grain::kSentences),
              ElementsAre("First part.", "It has `code`.", "After it, 12 eggs.", "a list"));
  EXPECT_THAT(sentences(kMessage, Grain::kBetweenSpans),
              ElementsAre("First part.", "It has", "After it", "eggs.", "a list"));
  EXPECT_THAT(sentences("The word “WorldWideWeb” is ©1998–{year} perché{x}", Grain::kBetweenSpans),
              ElementsAre("The word", "is", "perché"));
}

TEST(Cut, AWrappedParagraphIsOneLine) {
  EXPECT_THAT(sentences("A sentence that goes on and on until it has reached the very\nend of its "
                        "line. Another one.",
                        Grain::kSentences),
              ElementsAre("A sentence that goes on and on until it has reached the very end of its "
                          "line.",
                          "Another one."));
}

TEST(Cut, PartsAreTheSpans) {
  const Prepared message = prepare("Take `x` of 12 kg, <b><i>now</i></b>.", {});
  const auto pieces = cut(message, Grain::kSentences);
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_THAT(
      pieces[0].sentence->parts,
      ElementsAre(Part{5, 8, text::SpanKind::kInlineCode}, Part{12, 17, text::SpanKind::kNumber},
                  Part{19, 25, text::SpanKind::kTag}, Part{28, 36, text::SpanKind::kTag}));
}

TEST(Cut, PiecesJoinedAreTheMessage) {
  constexpr std::string_view kPool = "abI1 .,!?$`{}[]<>\\/\n\n~|%(=):;\"'#-*>_ \r\x01\xc3\xa9";
  Rng rng(5);
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    const std::size_t length = rng.below(80);
    for (std::size_t i = 0; i < length; ++i) text += kPool[rng.below(kPool.size())];
    for (const Grain grain :
         {Grain::kMessage, Grain::kParagraphs, Grain::kSentences, Grain::kBetweenSpans}) {
      std::string joined;
      const Prepared message = prepare(text, {});
      for (const Piece& piece : cut(message, grain)) {
        joined += piece.sentence ? piece.sentence->text : std::string(piece.verbatim);
      }
      ASSERT_EQ(joined, message.text);
    }
  }
}

TEST(MemoryKey, KnowsTextPartsAndContext) {
  Sentence sentence{"Take 12.", {}};
  const std::string plain = memory_key(sentence);
  sentence.parts = {{5, 7, text::SpanKind::kNumber}};
  const std::string with_part = memory_key(sentence);
  EXPECT_NE(with_part, plain);
  Context context;
  sentence.context = &context;
  const std::string any = memory_key(sentence);
  context.formality = Formality::kFormal;
  const std::string formal = memory_key(sentence);
  const std::vector<Turn> before = {{"user", "Hi.", "Ciao."}};
  context.before = before;
  const std::string later = memory_key(sentence);
  const std::vector<Term> terms = {{"loss", "perdita"}};
  context.terms = terms;
  const std::string with_term = memory_key(sentence);
  EXPECT_NE(any, with_part);
  EXPECT_NE(formal, any);
  EXPECT_NE(later, formal);
  EXPECT_NE(with_term, later);
  EXPECT_EQ(memory_key(sentence), with_term);
}

}  // namespace
}  // namespace nativo::translate
