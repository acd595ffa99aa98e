#include "text/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nativo::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const Word& word : split_words(text)) words.emplace_back(word.text);
  return words;
}

TEST(Words, ElisionsEndWithTheirApostrophe) {
  EXPECT_THAT(words_of("L'acqua dell’oste, un po' d'olio"),
              ElementsAre("L'", "acqua", "dell’", "oste", ",", "un", "po", "'", "d'", "olio"));
}

TEST(Words, NumbersKeepPointAndComma) {
  EXPECT_THAT(words_of("Costa 3.500,20 euro. Sono 7."),
              ElementsAre("Costa", "3.500,20", "euro", ".", "Sono", "7", "."));
}

TEST(Words, RowsOfAMarkAreOneToken) {
  EXPECT_THAT(words_of("ecco... ---- | |"), ElementsAre("ecco", "...", "----", "|", "|"));
}

TEST(Words, KnowsLettersMarksAndLength) {
  const auto words = split_words("perché ½ 😀 a1");
  ASSERT_EQ(words.size(), 4U);
  EXPECT_EQ(words[0].chars, 6U);
  EXPECT_TRUE(words[0].alphabetic);
  EXPECT_FALSE(words[1].alphabetic);
  EXPECT_TRUE(words[2].punctuation);
  EXPECT_TRUE(words[3].alphabetic);
}

TEST(Words, SurvivesBadBytes) {
  EXPECT_THAT(words_of(""), IsEmpty());
  EXPECT_THAT(words_of(" \t\n\u00A0"), IsEmpty());
  EXPECT_EQ(words_of("a\xFF\xC3").front(), "a");
  EXPECT_EQ(words_of("a'").size(), 2U);
  EXPECT_EQ(words_of("3.").size(), 2U);
}

TEST(Words, StopWordsAreFineWebs) {
  EXPECT_EQ(stop_words("it").size(), 18U);
  EXPECT_EQ(stop_words("en").size(), 8U);
  EXPECT_THAT(stop_words("xx"), IsEmpty());
}

}  // namespace
}  // namespace nativo::text
