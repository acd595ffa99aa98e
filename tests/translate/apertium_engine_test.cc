#include "translate/apertium_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/protected_spans.h"
#include "translate/engine_factory.h"
#include "translate/italian.h"
#include "translate/italian_words.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ApertiumSetup setup_of(const std::vector<Argv>& programs, double timeout = 5) {
  ApertiumSetup setup;
  setup.links = {{programs, ""}};
  setup.workers = 1;
  setup.timeout_seconds = timeout;
  return setup;
}

std::vector<Sentence> numbered(int count) {
  std::vector<Sentence> all;
  for (int i = 0; i < count; ++i) {
    Sentence sentence{"word number " + std::to_string(i) + " here", {}};
    for (const text::Span& span : text::find_spans(sentence.text)) {
      sentence.parts.push_back({span.begin, span.end, span.kind});
    }
    all.push_back(sentence);
  }
  return all;
}

TEST(ParseMode, ProgramsArgumentsAndFlags) {
  const auto programs =
      parse_mode("lt-proc '/a b/c.bin' | apertium-tagger -g $2 '/x.prob' | lt-proc $1 '/y.bin'\n");
  EXPECT_THAT(programs, ElementsAre(ElementsAre("lt-proc", "-z", "/a b/c.bin"),
                                    ElementsAre("apertium-tagger", "-z", "-g", "/x.prob"),
                                    ElementsAre("lt-proc", "-z", "-g", "/y.bin")));
  EXPECT_TRUE(parse_mode("").empty());
}

TEST(ProcessChain, MissingProgramIsNamed) {
  try {
    const ProcessChain chain({{"cat"}, {"nativo-no-such-program"}});
    FAIL() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kMissingInput);
    EXPECT_THAT(error.what(), HasSubstr("nativo-no-such-program"));
  }
}

TEST(ApertiumEngine, StreamsThroughAChain) {
  const auto engine = make_apertium_engine(setup_of({{"cat"}, {"cat"}}));
  const auto sentences = numbered(2000);
  const auto answers = engine->translate(sentences);
  ASSERT_EQ(answers.size(), sentences.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].ok);
    ASSERT_EQ(answers[i].text, sentences[i].text);
  }
}

TEST(ApertiumEngine, ADeadProgramIsStartedAgain) {
  // Dies after 60 answers; each new one answers on.
  const auto engine = make_apertium_engine(setup_of({{"sed", "-zu", "60q"}, {"sed", "-zu", ""}}));
  const auto sentences = numbered(150);
  const auto answers = engine->translate(sentences);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].ok) << i;
    ASSERT_EQ(answers[i].text, sentences[i].text);
  }
}

TEST(ApertiumEngine, ASentenceThatBreaksTheChainIsGivenUpAlone) {
  // sed quits without an answer on the poisoned sentence.
  const auto engine = make_apertium_engine(setup_of({{"sed", "-zu", "/poison/Q"}}));
  auto sentences = numbered(40);
  sentences[17].text = "poison word";
  sentences[17].parts.clear();
  const auto answers = engine->translate(sentences);
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].ok, i != 17) << i;
}

TEST(ApertiumEngine, AHungChainEndsTheRun) {
  const auto engine = make_apertium_engine(setup_of({{"sleep", "1000"}}, 0.05));
  EXPECT_THROW((void)engine->translate(numbered(60)), Error);
}

TEST(ApertiumEngine, AWrongAnswerIsNeverTakenForAnother) {
  // Swallows every second question: the proof in the next answer does not fit.
  const auto engine = make_apertium_engine(setup_of({{"sed", "-zu", "n;d"}}, 0.05));
  const auto sentences = numbered(6);
  try {
    const auto answers = engine->translate(sentences);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].ok) {
        EXPECT_EQ(answers[i].text, sentences[i].text);
      }
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIo);
  }
}

TEST(Italian, TableIsSortedAndUsed) {
  for (std::size_t i = 1; i < kItalianWords.size(); ++i) {
    ASSERT_LT(kItalianWords[i - 1].spanish, kItalianWords[i].spanish);
  }
  EXPECT_EQ(italian_for_spanish("muchos"), "molti");
  EXPECT_EQ(italian_for_spanish("zzz"), "");
}

TEST(Italian, Finish) {
  EXPECT_EQ(finish_italian("Is it?", "è  vero ?"), "È vero?");
  EXPECT_EQ(finish_italian("and so", "E così"), "e così");
  EXPECT_EQ(finish_italian("Over time, we", "con la meteo, deve che"), "Con il tempo, deve");
  EXPECT_EQ(finish_italian("A meteorology", "una meteorologia"), "Una meteorologia");
}

class InstalledApertium : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = engine_unavailable("apertium", {}, "it")) {
      GTEST_SKIP() << missing->what() << "; " << missing->hint();
    }
  }
};

TEST_F(InstalledApertium, TranslatesAndKeepsSpans) {
  const auto engine = make_apertium_engine(apertium_setup("en", "it", 1));
  const std::string text = "The library opens at 9:30 and `x` costs $5 for {name}.";
  Sentence sentence{text, {}};
  for (const text::Span& span : text::find_spans(text)) {
    sentence.parts.push_back({span.begin, span.end, span.kind});
  }
  const auto answer = engine->translate(std::span(&sentence, 1));
  ASSERT_TRUE(answer[0].ok);
  EXPECT_THAT(answer[0].text, HasSubstr("biblioteca"));
  EXPECT_TRUE(text::verify_protected(text, answer[0].text).ok()) << answer[0].text;
}

// Without the warm-up the tagger's answers depend on what came before (see the header).
TEST_F(InstalledApertium, AnswersDoNotDependOnOrderOrWorkers) {
  std::vector<Sentence> sentences;
  for (const std::string text :
       {"How much more money does Betty need to buy the wallet?", "The gift is for the children.",
        "He wants to read half of the pages tomorrow.", "I know the second house between the trees",
        "A lot of water is near the fit man.", "Thanks for the apple, I have worn it till now.",
        "They were included and elected.", "It is enough for me and it is quite strong",
        "The old man the boats", "She wants to go until late in the afternoon.",
        "Weng earns money for babysitting.", "The fourth dog is under the table"}) {
    sentences.push_back({text, {}});
  }
  for (std::size_t i = 0; i < 36; ++i) sentences.push_back(Sentence(sentences[i]));
  const auto forward = make_apertium_engine(apertium_setup("en", "it", 2))->translate(sentences);
  std::vector<Sentence> reversed(sentences.rbegin(), sentences.rend());
  const auto backward = make_apertium_engine(apertium_setup("en", "it", 1))->translate(reversed);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    EXPECT_EQ(forward[i].text, backward[sentences.size() - 1 - i].text) << sentences[i].text;
    EXPECT_EQ(forward[i].text, forward[i % 12].text) << sentences[i].text;
  }
}

TEST_F(InstalledApertium, HostileSentencesDoNotBreakTheChain) {
  const auto engine = make_apertium_engine(apertium_setup("en", "it", 1));
  std::vector<Sentence> sentences;
  for (const std::string text :
       {"a [b] ^c$ \\ <d> {e} *f @g #h ~i /j\\", "^^^ $$$ word", "]]] [[[ word",
        "Who is the'sole man'?", "'s 're 'll n't word", "word \xf0\x9f\x98\x80 emoji",
        "\xe2\x80\xae right to left", "- - - word"}) {
    sentences.push_back({text, {}});
  }
  const auto answers = engine->translate(sentences);
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_TRUE(answers[i].ok) << sentences[i].text;
}

}  // namespace
}  // namespace nativo::translate
