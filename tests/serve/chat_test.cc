#include "serve/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/fake_language_model.h"
#include "serve/settings.h"

namespace nativo::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ChatTest : public testing::Test {
 protected:
  std::string talk(const std::string& input, const ChatOptions& options = {},
                   bool interactive = false) {
    std::istringstream in(input);
    std::ostringstream out;
    run_chat(model_, options, {.in = in, .out = out, .interactive = interactive});
    return out.str();
  }

  generate::FakeLanguageModel model_;
};

TEST_F(ChatTest, AnswersAPipeLineByLineAndNothingElse) {
  model_.reply = [n = 0](const std::string&) mutable { return "Risposta " + std::to_string(++n); };
  EXPECT_EQ(talk("Ciao\r\n\n  \nE poi?"), "Risposta 1\nRisposta 2\n");
}

TEST_F(ChatTest, RemembersTheConversation) {
  model_.reply = [](const std::string& prompt) {
    return prompt.find("Ugo") != std::string::npos ? "Ugo." : "Non so.";
  };
  EXPECT_EQ(talk("Mi chiamo Ugo\nCome mi chiamo?\n/reset\nCome mi chiamo?\n"),
            "Ugo.\nUgo.\nThe conversation starts anew.\nNon so.\n");
}

TEST_F(ChatTest, SystemMessageComesFirst) {
  ChatOptions options;
  options.system = "Parla piano";
  talk("Uno\n/system Parla forte\nDue\n/system\nTre\n", options);
  ASSERT_EQ(model_.prompts.size(), 3U);
  EXPECT_THAT(model_.prompts[0], HasSubstr("Parla piano"));
  EXPECT_THAT(model_.prompts[1], HasSubstr("Parla forte"));
  EXPECT_THAT(model_.prompts[1], Not(HasSubstr("Uno")));
  EXPECT_EQ(model_.prompts[2], "Tre");
}

TEST_F(ChatTest, SettingsHaveRanges) {
  const std::string out = talk(
      "/temperature 0.25\n/max_tokens 7\n/temperature -1\n/top_k 1.5\n/top_p x\n/top_p\nCiao\n");
  EXPECT_THAT(out, HasSubstr("temperature is now 0.25."));
  EXPECT_THAT(out, HasSubstr("temperature must lie between 0 and 100."));
  EXPECT_THAT(out, HasSubstr("top_k must be a whole number."));
  EXPECT_THAT(out, HasSubstr("top_p must be a number."));
  EXPECT_THAT(out, HasSubstr("/max_tokens"));
  EXPECT_EQ(model_.samplers[0].temperature, 0.25);
  EXPECT_EQ(model_.samplers[0].max_tokens, 7);
  EXPECT_EQ(model_.samplers[0].top_k, 0);
}

TEST_F(ChatTest, EachAnswerHasItsOwnSeed) {
  talk("Uno\nDue\n/seed 10\nTre\n");
  ASSERT_EQ(model_.samplers.size(), 3U);
  EXPECT_EQ(model_.samplers[1].seed, model_.samplers[0].seed + 1);
  EXPECT_EQ(model_.samplers[2].seed, 12);
}

TEST_F(ChatTest, CommandsHelpAndLeave) {
  const std::string out = talk("/help\n/sing\x1b[31m\n/exit\nmai\n");
  EXPECT_THAT(out, HasSubstr("/reset"));
  EXPECT_THAT(out, HasSubstr("/repetition_penalty"));
  EXPECT_THAT(out, HasSubstr("no command /sing"));
  EXPECT_THAT(out, Not(HasSubstr("\x1b")));
  EXPECT_TRUE(model_.prompts.empty());
}

TEST_F(ChatTest, ATerminalGetsAPromptAndANewLineAtTheEnd) {
  const std::string out = talk("Ciao\n", {}, true);
  EXPECT_THAT(out, HasSubstr("/help"));
  EXPECT_THAT(out, testing::EndsWith("> Non lo so.\n> \n"));
}

TEST_F(ChatTest, WhatTheModelSaysCannotDriveTheTerminal) {
  model_.reply = [](const std::string&) {
    return "rosso \x1b[31m e \xE2\x80\xAE"
           "fine";
  };
  const std::string out = talk("Ciao\n");
  EXPECT_THAT(out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(out, Not(HasSubstr("\xE2\x80\xAE")));
  EXPECT_THAT(out, HasSubstr("fine"));
}

TEST_F(ChatTest, RefusesInputThatIsNotText) {
  EXPECT_THAT(talk("\xFF\xFE\nCiao\n"), HasSubstr("not UTF-8"));
  EXPECT_EQ(model_.prompts.size(), 1U);
}

TEST_F(ChatTest, ForgetsTheOldestTurnsWhenTheContextIsFull) {
  generate::FakeLanguageModel small(64);
  std::string questions;
  for (int i = 0; i < 8; ++i) questions += "Domanda numero " + std::to_string(i) + "?\n";
  std::istringstream in(questions);
  std::ostringstream out;
  run_chat(small, {}, {.in = in, .out = out});
  ASSERT_EQ(small.prompts.size(), 8U);
  for (const std::size_t length : small.prompt_lengths) EXPECT_LE(length, 48U);  // 64 - 64 / 4
  EXPECT_THAT(small.prompts[7], HasSubstr("numero 7"));
  EXPECT_THAT(small.prompts[7], HasSubstr("numero 6"));
  EXPECT_THAT(small.prompts[7], Not(HasSubstr("numero 0")));
  EXPECT_THAT(out.str(), HasSubstr("the oldest turn is forgotten"));
}

TEST_F(ChatTest, AQuestionThatIsTooLongIsRefusedAndTheChatGoesOn) {
  generate::FakeLanguageModel small(32);
  std::istringstream in(std::string(400, 'x') + "\nCiao\n");
  std::ostringstream out;
  run_chat(small, {}, {.in = in, .out = out});
  EXPECT_THAT(out.str(), HasSubstr("too long"));
  ASSERT_EQ(small.prompts.size(), 1U);
  EXPECT_EQ(small.prompts[0], "Ciao");
}

TEST_F(ChatTest, StoppingAnAnswerKeepsTheChat) {
  model_.reply = [](const std::string&) { return "uno due tre quattro cinque"; };
  std::istringstream in("Conta\nAncora\n");
  std::ostringstream out;
  int asked = 0;
  std::vector<std::string> log;
  run_chat(model_, {},
           {.in = in,
            .out = out,
            .begin_answer = [&] { log.emplace_back("begin"); },
            .stop_answer = [&] { return ++asked >= 2; },
            .end_answer = [&] { log.emplace_back("end"); }});
  EXPECT_THAT(log, ElementsAre("begin", "end", "begin", "end"));
  EXPECT_THAT(out.str(), HasSubstr("(stopped)\n"));
  EXPECT_THAT(out.str(), Not(HasSubstr("cinque")));
  EXPECT_EQ(model_.prompts.size(), 2U);
}

TEST_F(ChatTest, CtrlCStopsTheAnswerOnly) {
  model_.reply = [](const std::string&) {
    std::raise(SIGINT);
    return "uno due tre quattro cinque";
  };
  ChatConsole console = terminal_console();
  std::istringstream in("Conta\nAncora\n");
  std::ostringstream out;
  run_chat(model_, {},
           {.in = in,
            .out = out,
            .begin_answer = console.begin_answer,
            .stop_answer = console.stop_answer,
            .end_answer = console.end_answer});
  EXPECT_EQ(model_.prompts.size(), 2U);
  EXPECT_FALSE(interrupted());
}

TEST_F(ChatTest, AnEmptyAnswerIsNotRemembered) {
  model_.reply = [n = 0](const std::string&) mutable { return ++n == 1 ? "" : "bene"; };
  EXPECT_EQ(talk("Uno\nDue\n"), "(no answer)\nbene\n");
  EXPECT_EQ(model_.prompts[1], "Due");
}

TEST_F(ChatTest, AClosedOutputEndsTheChat) {
  std::istringstream in("Ciao\n");
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_THROW(run_chat(model_, {}, {.in = in, .out = out}), Error);
}

TEST(Settings, LargeNumbersAreRefusedNotWrapped) {
  generate::SamplerOptions options;
  const generate::SamplerOptions before = options;
  for (const char* value : {"1e300", "99999999999999999999", "nan", "inf", "", "-3", "12abc"}) {
    EXPECT_NE(set_option(options, "seed", value), "") << value;
  }
  EXPECT_EQ(options.seed, before.seed);
  EXPECT_EQ(set_option(options, "seed", " 42 "), "");
  EXPECT_EQ(options.seed, 42);
  EXPECT_NE(set_option(options, "colour", "1"), "");
  EXPECT_FALSE(has_option("colour"));
}

}  // namespace
}  // namespace nativo::serve
