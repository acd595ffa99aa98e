// What models say around, in and instead of a translation.
#include "translate/llm_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace nativo::translate {
namespace {

/// The translation, or "!" and the rule that the answer breaks.
std::string of(const std::string& source, const std::string& answer) {
  const auto found = translation_in(source, answer, answer_tag(source));
  return found ? found.value() : "!" + found.rejection().rule;
}

TEST(LlmAnswer, TakesWhatStandsBetweenTheTags) {
  const std::string source = "Take 12 of `x`.";
  const std::string good = "Prendi 12 di `x`.";
  const std::string tagged = "<translation>" + good + "</translation>";
  for (const std::string& answer : {
           tagged,
           "<translation>\n" + good + "\n</translation>\n",
           "Here is the translation:\n\n" + tagged + "\n\nLet me know if you need anything else!",
           "```xml\n" + tagged + "\n```",
           "<translation>\n```\n" + good + "\n```\n</translation>",
           "<translation>```text\n" + good + "\n```</translation>",
           "<think>Is it 13? <translation>no</translation></think>" + tagged,
           "the end of a thought</think>\n" + tagged,
           tagged + "\n" + tagged,  // said twice
           "<translation>\r\n" + good + "\r\n</translation>\r\n",
       }) {
    EXPECT_EQ(of(source, answer), good) << answer;
  }
}

TEST(LlmAnswer, RefusesWhatCouldBeAnything) {
  const std::string source = "Take 12 of `x`.";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "!no_translation"},
      {"Prendi 12 di `x`.", "!no_translation"},
      {"I'm sorry, but I can't help with that.", "!no_translation"},
      {"Prendi 12 di `x`.</translation>", "!no_translation"},
      {"<translation>Prendi 12 di", "!unfinished_translation"},
      {"<translation>Prendi 12 di `x`.</translat", "!unfinished_translation"},
      {"<translation>Prendi 12 di `x`.</translation><translation>Prendi",
       "!unfinished_translation"},
      {"<translation>Prendi 12 di `x`.</translation> or <translation>Piglia 12 di "
       "`x`.</translation>",
       "!several_translations"},
      {"<translation></translation>", "!empty_translation"},
      {"<translation> \n </translation>", "!empty_translation"},
      {"<translation>Prendi\x07 12 di `x`.</translation>", "!control_characters"},
      {"<translation>Prendi 12\ndi `x`.</translation>", "!lines_changed"},
      {"<translation>Prendi 13 di `x`.</translation>", "!protected_span_lost"},
      {"<translation>Prendi 12 di x.</translation>", "!protected_span_lost"},
      {"<translation>Prendi 12 di `x` e 7.</translation>", "!protected_span_added"},
  };
  for (const auto& [answer, rule] : cases) EXPECT_EQ(of(source, answer), rule) << answer;
}

TEST(LlmAnswer, RestoresTheLayoutOfTheSource) {
  const std::string source = "# Title\n\n\n  - one\t\n  - two\n\n   end  of it";
  EXPECT_EQ(of(source, "<translation># Titolo\n\n- uno\n- due\nfine</translation>"),
            "# Titolo\n\n\n  - uno\t\n  - due\n\n   fine");
  EXPECT_EQ(of(source, "<translation># Titolo\n- uno - due\nfine</translation>"), "!lines_changed");
  EXPECT_EQ(of("a b\r\nc d", "<translation>A B\nC D</translation>"), "A B\r\nC D");
}

TEST(LlmAnswer, ATextAboutTagsGetsAnotherTag) {
  EXPECT_EQ(answer_tag("nothing special"), "translation");
  const std::string source = "Write <translation>words</translation>";
  EXPECT_EQ(answer_tag(source), "translation2");
  EXPECT_EQ(of(source, "<translation2>Scrivi <translation>parole</translation></translation2>"),
            "Scrivi <translation>parole</translation>");
  EXPECT_EQ(answer_tag("</translation> <translation2>"), "translation3");
  // A text about thoughts keeps its marks.
  EXPECT_EQ(of("It ends with </think> here", "<translation>Finisce con </think> qui</translation>"),
            "Finisce con </think> qui");
}

TEST(LlmAnswer, AFenceOfTheSourceStays) {
  EXPECT_EQ(of("```\nx = 1\n```\nRun it", "<translation>```\nx = 1\n```\nEseguilo</translation>"),
            "```\nx = 1\n```\nEseguilo");
}

TEST(LlmAnswer, EveryPrefixOfAnAnswerIsRefused) {
  const std::string whole = "<translation>Prendi 12 di `x`.</translation>";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(of("Take 12 of `x`.", whole.substr(0, length))[0], '!') << length;
  }
}

}  // namespace
}  // namespace nativo::translate
