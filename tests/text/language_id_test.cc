#include "text/language_id.h"

#include <gtest/gtest.h>

#include <string>

namespace nativo::text {
namespace {

constexpr std::string_view kItalian =
    "Mio padre aggiustava le biciclette di tutto il quartiere. Aveva una piccola officina sotto "
    "casa, con una lampada, un banco di legno e una radio sempre accesa.";
constexpr std::string_view kEnglish =
    "The old lighthouse keeper climbed the stairs every evening with a lamp in one hand and a "
    "sandwich in the other. He had done it for thirty years.";

TEST(LanguageId, KnowsItalianAndEnglish) {
  const LanguageGuess italian = identify(kItalian);
  EXPECT_EQ(italian.lang, "it");
  EXPECT_TRUE(italian.reliable);
  EXPECT_GT(italian.score, 0.9);
  EXPECT_EQ(identify(kEnglish).lang, "en");
}

TEST(LanguageId, CodeAndAddressesDoNotCount) {
  std::string text(kItalian);
  text += "\n```python\n";
  for (int i = 0; i < 40; ++i) text += "# the value of the first word that you have seen\n";
  text += "```\nhttps://example.com/the-most-important-thing-that-you-should-know-about-it\n";
  EXPECT_EQ(identify(text).lang, "it");
  EXPECT_GT(identify(text).score, 0.9);
}

TEST(LanguageId, NamesTheSecondLanguage) {
  const LanguageGuess guess = identify(std::string(kItalian) + "\n\n" + std::string(kEnglish));
  EXPECT_LT(guess.score, 0.7);
  EXPECT_TRUE(guess.second == "en" || guess.second == "it") << guess.second;
  EXPECT_GT(guess.second_score, 0.3);
}

TEST(LanguageId, NothingIsNoLanguage) {
  for (const std::string_view text : {"", "12 34 56", "\xFF\xFE", "```\nthe code\n```"}) {
    const LanguageGuess guess = identify(text);
    EXPECT_FALSE(guess.reliable) << text;
  }
}

}  // namespace
}  // namespace nativo::text
