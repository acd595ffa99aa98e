// Sentences that are too long for an engine.
#include "translate/long_sentence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> cut(const std::string& text, std::size_t bytes,
                             std::vector<Part> parts = {}) {
  const Sentence sentence{text, std::move(parts)};
  const auto pieces =
      cut_sentence(sentence, 8, [&](const Sentence& piece) { return piece.text.size() <= bytes; });
  std::vector<std::string> texts;
  if (!pieces) return texts;
  std::string whole;
  for (const SentencePiece& piece : *pieces) {
    texts.push_back(piece.sentence.text);
    whole += piece.sentence.text + piece.behind;
    EXPECT_TRUE(is_valid_utf8(piece.sentence.text));
    EXPECT_EQ(trim(piece.sentence.text), piece.sentence.text);
    for (const Part& part : piece.sentence.parts) {
      EXPECT_LE(part.end, piece.sentence.text.size());
      EXPECT_EQ(piece.sentence.text[part.begin], '<');
      EXPECT_EQ(piece.sentence.text[part.end - 1], '>');
    }
  }
  EXPECT_EQ(whole, text);
  return texts;
}

TEST(LongSentence, IsCutBehindClausesThenBetweenWords) {
  EXPECT_THAT(cut("short", 5), ElementsAre("short"));
  EXPECT_THAT(cut("one two three, four five", 20), ElementsAre("one two three,", "four five"));
  EXPECT_THAT(cut("one two  three four", 10), ElementsAre("one two", "three four"));
  EXPECT_THAT(cut("a, bbbb cccc dddd eeee", 12), ElementsAre("a, bbbb cccc", "dddd eeee"));
}

TEST(LongSentence, ProtectedPartsStayWhole) {
  const std::string text = "say <a, b c d e f> now";
  EXPECT_THAT(cut(text, 18, {{4, 18, text::SpanKind::kMarkup}}),
              ElementsAre("say <a, b c d e f>", "now"));
  EXPECT_THAT(cut(text, 12, {{4, 18, text::SpanKind::kMarkup}}), ElementsAre());
}

TEST(LongSentence, LettersArePartedOnlyWhereAScriptHasNoSpaces) {
  EXPECT_THAT(cut("\u65e5\u672c\u8a9e\u6587", 6), ElementsAre("\u65e5\u672c", "\u8a9e\u6587"));
  EXPECT_THAT(cut(std::string(40, 'x'), 30), ElementsAre());
  EXPECT_THAT(cut("a b c d e f g h i j k l m n o p q r s t", 3), ElementsAre());  // too many pieces
}

}  // namespace
}  // namespace nativo::translate
