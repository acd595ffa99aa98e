#include "filter/repetition.h"

#include <gtest/gtest.h>

#include <string>

#include "filter/untranslated.h"

namespace nativo::filter {
namespace {

// Expected values computed by hand from the definitions in filter/repetition.h.

TEST(Repetition, TopNgramCountsCharactersOfAllItsOccurrences) {
  const std::string text = "a b c a b d a b";
  const auto words = text::split_words(text);
  // "a b" three times: 3 characters each, of 15.
  EXPECT_DOUBLE_EQ(top_ngram_share(words, 2, 15), 9.0 / 15.0);
  EXPECT_DOUBLE_EQ(top_ngram_share(words, 3, 15), 0.0) << "no run of three words occurs twice";
  EXPECT_DOUBLE_EQ(top_ngram_share(words, 9, 15), 0.0) << "longer than the text";
}

TEST(Repetition, DuplicateNgramsAreSkippedAsAWhole) {
  const std::string text = "a b c a b c a b c";
  const auto words = text::split_words(text);
  // "a b" at 3, then "c a" at 5, then "b c" at 7 were seen: 2 characters each.
  EXPECT_DOUBLE_EQ(duplicate_ngram_share(words, 2, 17), 6.0 / 17.0);
  EXPECT_DOUBLE_EQ(duplicate_ngram_share(words, 10, 17), 0.0);
}

TEST(Repetition, DuplicateLinesIgnoreHeadingsAndRules) {
  const DuplicateLines lines =
      duplicate_lines("uno due\n# Titolo\n---\nuno due\n# Titolo\n---\n\ntre\n");
  EXPECT_DOUBLE_EQ(lines.lines, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(lines.characters, 7.0 / 17.0);
}

TEST(Repetition, LoopsHavePeriodsOfOneToFour) {
  const auto loop = [](const std::string& text) { return longest_loop(text::split_words(text)); };
  EXPECT_EQ(loop("ha detto olive olive olive olive"), 4U);
  EXPECT_EQ(loop("uno due uno due uno due fine"), 6U);
  EXPECT_EQ(loop("uno due uno due"), 0U) << "twice is no loop";
  EXPECT_EQ(loop("10 10 10 10 10 10 10"), 0U) << "numbers may repeat";
  EXPECT_EQ(loop("io sono qui ora io sono qui ora io sono qui ora"), 12U);
  EXPECT_EQ(loop(""), 0U);
}

TEST(Untranslated, FindsEnglishSentencesInItalian) {
  EXPECT_DOUBLE_EQ(english_share("Il gatto dorme sul tetto. This is the cat of the house."),
                   7.0 / 12);
  EXPECT_DOUBLE_EQ(english_share("Il gatto dorme sul tetto."), 0.0);
  EXPECT_DOUBLE_EQ(english_share("Ho visto \"The Lord of the Rings\" con la mia amica."), 0.0)
      << "a title in an Italian sentence: la, con, ho outweigh... of, the";
  EXPECT_DOUBLE_EQ(english_share(""), 0.0);
}

}  // namespace
}  // namespace nativo::filter
