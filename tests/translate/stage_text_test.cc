// What the stage does to a text whatever the engine: underscores, numbers, terms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "fake_engine.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

data::Record text_record(const std::string& text) {
  data::Record record;
  record.text = text;
  record.lang = "en";
  record.id = data::content_id(record);
  return record;
}

/// Upper-cases, and like Argos Translate turns every '_' outside the parts into a space; '*', too.
class UnderscoreEater : public FakeEngine {
 public:
  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Sentence> eaten(sentences.begin(), sentences.end());
    for (Sentence& sentence : eaten) {
      for (std::size_t i = 0; i < sentence.text.size(); ++i) {
        const bool inside = std::ranges::any_of(
            sentence.parts, [&](const Part& part) { return part.begin <= i && i < part.end; });
        if (!inside && (sentence.text[i] == '_' || sentence.text[i] == '*')) sentence.text[i] = ' ';
      }
    }
    return FakeEngine::translate(eaten);
  }
};

TEST(StageText, NoUnderscoreIsLost) {
  for (const auto& [source, expected] : std::vector<std::pair<std::string, std::string>>{
           {"Call my_function_name with _private and __init__ or CONST_VALUE_2.",
            "CALL my_function_name WITH _private AND __init__ OR CONST_VALUE_2."},
           {"This is _very_ important, __really__ *so* and **more than _that_**.",
            "THIS IS _VERY_ IMPORTANT, __REALLY__ *SO* AND **MORE THAN _THAT_**."},
           {"Let x_1 and x_{i+1} be roots of $a_n x^n$ or \\alpha_i, see a_b.c_d.",
            "LET x_1 AND x_{i+1} BE ROOTS OF $a_n x^n$ OR \\alpha_i, SEE a_b.c_d."},
           {"Fill in the ____ blank, use _ as a sign, end_ or http://x.y/a_b_.",
            "FILL IN THE ____ BLANK, USE _ AS A SIGN, end_ OR http://x.y/a_b_."},
           {"- [a _link_](http://x.y/p_q) and ![pic_1](u_v.png) of {user_name}\n",
            "- [A _LINK_](http://x.y/p_q) AND ![pic_1](u_v.png) OF {user_name}\n"}}) {
    UnderscoreEater engine;
    TranslateOptions plain;
    plain.check.off = {"empty",        "untranslated", "wrong_language", "length_ratio",
                       "numbers_lost", "repetition",   "truncation",     "chatter"};
    RecordTranslator translator(engine, plain, "it");
    const auto result = translator.translate({text_record(source)});
    ASSERT_EQ(result.kept.size(), 1U) << source;
    EXPECT_EQ(result.kept[0].text, expected);
  }
}

TEST(StageText, WrappedLinesAreTranslatedAsSentencesAndWrappedAgain) {
  const std::string source =
      "It was not an expensive piece of wood, with some_name and 12 more, far\n"
      "from it. Just a common block of firewood, one of those thick, solid\n"
      "logs.\n\n- an item\n- another";
  FakeEngine engine;
  TranslateOptions plain;
  plain.check.off = {"untranslated", "wrong_language"};
  RecordTranslator translator(engine, plain, "it");
  const auto result = translator.translate({text_record(source)});
  ASSERT_EQ(result.kept.size(), 1U);
  EXPECT_THAT(engine.asked,
              ::testing::ElementsAre(
                  "It was not an expensive piece of wood, with some_name and 12 more, far from it.",
                  "Just a common block of firewood, one of those thick, solid logs.", "an item",
                  "another"));
  EXPECT_EQ(result.kept[0].text,
            "IT WAS NOT AN EXPENSIVE PIECE OF WOOD, WITH some_name AND 12 MORE, FAR\n"
            "FROM IT. JUST A COMMON BLOCK OF FIREWOOD, ONE OF THOSE THICK, SOLID\n"
            "LOGS.\n\n- AN ITEM\n- ANOTHER");
  EXPECT_EQ(result.kept[0].lineage[0]["wraps"], 2);
}

/// Gives the parts of more than one back in the reverse order, whatever it is given.
class Reverser : public FakeMessageEngine {
 public:
  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> all = FakeMessageEngine::translate(sentences);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (sentences[i].parts.size() < 2) continue;
      all[i].ok = false;
      all[i].reason = "protected_span_moved: by the engine itself";
    }
    return all;
  }
};

TEST(StageText, AMessageThatLosesSpansIsTranslatedBetweenThem) {
  TranslateOptions plain;
  plain.check.off = {"untranslated", "wrong_language"};
  Reverser engine;
  RecordTranslator translator(engine, plain, "it");
  const auto result = translator.translate({text_record("Read <b>this page</b> now, please.")});
  ASSERT_EQ(result.kept.size(), 1U);
  EXPECT_EQ(result.kept[0].text, "READ <b>THIS PAGE</b> NOW, PLEASE.");
  EXPECT_THAT(engine.asked, ::testing::ElementsAre("Read <b>this page</b> now, please.", "Read",
                                                   "this page", "now, please."));
  // What is refused for another reason is not asked for in scraps.
  FakeMessageEngine refuses(Fault::kNotOk);
  RecordTranslator second(refuses, plain, "it");
  EXPECT_EQ(second.translate({text_record("Read <b>this page</b> now, please.")}).rejected.size(),
            1U);
  EXPECT_EQ(refuses.calls, 1);
}

TEST(StageText, NumbersDatesAndTermsComeBackAsDecided) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "nativo-stage-text-glossary.tsv";
  std::ofstream(file) << "loss\tperdita\nNativo\t\tkeep\n";
  TranslateOptions options;
  options.check.off = {"empty",        "untranslated", "wrong_language", "length_ratio",
                       "numbers_lost", "repetition",   "truncation",     "chatter"};
  options.localize_numbers = true;
  options.dates = "us";
  options.glossary = file.string();
  for (const bool messages : {false, true}) {
    FakeEngine sentences;
    FakeMessageEngine whole;
    TranslationEngine& engine = messages ? static_cast<TranslationEngine&>(whole) : sentences;
    RecordTranslator translator(engine, options, "it");
    const auto result = translator.translate(
        {text_record("Loss of 1,234.5 kg on 03/25/2024. Nativo has `loss 1.5`, version 1.5.")});
    ASSERT_EQ(result.kept.size(), 1U);
    EXPECT_EQ(result.kept[0].text,
              "Perdita OF 1.234,5 kg ON 25/03/2024. Nativo HAS `loss 1.5`, VERSION 1.5.");
    EXPECT_EQ(result.kept[0].lineage[0]["numbers_localized"], 2);
    EXPECT_EQ(result.kept[0].lineage[0]["terms"], 2);
  }
  std::filesystem::remove(file);
}

TEST(StageText, AnEngineThatUndoesADecisionIsRefused) {
  // 1.5 where 1,5 was decided: the number is lost, whole sentences or not.
  class Undoing : public FakeEngine {
    std::vector<Translation> translate(std::span<const Sentence> sentences) override {
      std::vector<Translation> all = FakeEngine::translate(sentences);
      for (Translation& one : all) {
        if (const std::size_t at = one.text.find("1,5"); at != one.text.npos)
          one.text[at + 1] = '.';
        one.text += " 1.5";
      }
      return all;
    }
  } engine;
  TranslateOptions options;
  options.check.off = {"empty",        "untranslated", "wrong_language", "length_ratio",
                       "numbers_lost", "repetition",   "truncation",     "chatter"};
  options.localize_numbers = true;
  RecordTranslator translator(engine, options, "it");
  const auto result = translator.translate({text_record("It is 1.5 kg now.")});
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].reason.rule, "protected_span_added");
  EXPECT_EQ(result.rejected[0].reason.value, "1.5");
}

}  // namespace
}  // namespace nativo::translate
