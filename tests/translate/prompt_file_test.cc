// Prompt files: ours say what they must, wrong ones are refused with their line.
#include "translate/prompt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/temp_folder.h"
#include "translate/llm_answer.h"

namespace nativo::translate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string complaint(const std::string& file) {
  try {
    const Prompt prompt(file, "x.prompt", "en", "it");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    return e.what();
  }
  return "none";
}

TEST(PromptFile, BuildsAQuestionFromItsSections) {
  const Prompt prompt(
      "# a comment\n"
      "=== system\n{{ from_name }} to {{ to_name }}, {{ formality }}\n\n"
      "=== example source\nOne\n=== example translation\nUno\n"
      "=== user\n{% for t in before %}{{ t.role }}:{{ t.source }}/{{ t.translation }};{% endfor %}"
      "{% for t in terms %}{{ t.source }}={{ t.target }};{% endfor %}{{ role }}>{{ text }}<{{ tag "
      "}}\n"
      "=== repair\nNo: {{ problem }}\n",
      "x.prompt", "en", "it");
  const std::vector<Turn> before = {{"user", "Hi", "Ciao"}};
  const std::vector<Term> terms = {{"list", "lista"}};
  const Context context{"assistant", before, Formality::kFormal, terms};
  const PromptInput input{"A {{ text }} {% raw %}", &context, "translation"};
  const auto messages = prompt.question(input);
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "English to Italian, formal");
  EXPECT_EQ(messages[1].content, ">One<translation");
  EXPECT_EQ(messages[2].role, "assistant");
  EXPECT_EQ(messages[2].content, "<translation>Uno</translation>");
  EXPECT_EQ(messages[3].role, "user");
  // What the text spells is not a template.
  EXPECT_EQ(messages[3].content,
            "user:Hi/Ciao;list=lista;assistant>A {{ text }} {% raw %}<translation");
  EXPECT_EQ(prompt.repair(input, "x"), "No: x");
  EXPECT_EQ(prompt.digest().size(), 64U);
}

TEST(PromptFile, OursAreSoundAndSayWhatMatters) {
  for (const std::string to : {"it", "de", "xx"}) {
    const Prompt prompt = load_prompt("", "en", to);
    const std::vector<Turn> before = {{"user", "EARLIER", "PRIMA"}};
    const std::vector<Term> terms = {{"SOURCE", "TARGET"}};
    const Context context{"user", before, Formality::kFormal, terms};
    const auto messages = prompt.question({"THE TEXT", &context, "translation"});
    const std::string system = messages.front().content;
    EXPECT_THAT(system, AllOf(HasSubstr("<translation>"), HasSubstr("English"),
                              HasSubstr(std::string(language_name(to)))));
    EXPECT_THAT(system, to == "it" ? HasSubstr("\"Lei\"") : HasSubstr("formally"));
    EXPECT_THAT(messages.back().content,
                AllOf(HasSubstr("THE TEXT"), HasSubstr("EARLIER"), HasSubstr("PRIMA"),
                      HasSubstr("SOURCE = TARGET"), HasSubstr("user")));
    EXPECT_THAT(prompt.repair({"x", nullptr, "translation"}, "PROBLEM"), HasSubstr("PROBLEM"));
    const auto alone = prompt.question({"THE TEXT", nullptr, "translation"});
    EXPECT_THAT(alone.back().content, Not(HasSubstr("conversation")));
  }
}

TEST(PromptFile, OurExamplesKeepTheirOwnContract) {
  const auto messages = load_prompt("", "en", "it").question({"x", nullptr, "translation"});
  ASSERT_GE(messages.size(), 4U);
  for (std::size_t i = 1; i + 1 < messages.size(); i += 2) {
    const std::string& asked = messages[i].content;
    const std::size_t begin = asked.find("<text>\n") + 7;
    const std::string source = asked.substr(begin, asked.find("\n</text>") - begin);
    const auto answer = translation_in(source, messages[i + 1].content, "translation");
    EXPECT_TRUE(answer) << source << ": " << answer.rejection().value;
  }
}

TEST(PromptFile, WrongOnesAreRefusedWithTheirPlace) {
  const std::string good = "=== user\nu\n=== repair\nr\n";
  EXPECT_EQ(complaint(good), "none");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "x.prompt:1: no section \"=== user\""},
      {"=== user\nu\n", "no section \"=== repair\""},
      {good + "=== user\nu\n", "x.prompt:5: a second section"},
      {good + "=== usr\nu\n", "x.prompt:5: unknown section \"usr\""},
      {good + "=== example source\na\n", "no \"=== example translation\""},
      {"=== example source\na\n" + good, "x.prompt:3: the example before it"},
      {good + "=== example translation\na\n", "no \"=== example source\" before it"},
      {good + "=== example source\n\n=== example translation\na\n", "empty example"},
      {"=== user\n{% if %}\n=== repair\nr\n", "x.prompt (=== user)"},
      {"=== user\n{{ \xFF }}\n=== repair\nr\n", "not UTF-8"},
  };
  for (const auto& [file, words] : cases) EXPECT_THAT(complaint(file), HasSubstr(words)) << file;
}

TEST(PromptFile, OnesOwnIsReadFromItsPath) {
  const io::TempFolder folder;
  const std::string path = folder.put("my.prompt", "=== user\nmine: {{ text }}\n=== repair\nr\n");
  EXPECT_EQ(load_prompt(path, "en", "it").question({"t", nullptr, "x"})[0].content, "mine: t");
  EXPECT_THROW((void)load_prompt(folder / "absent", "en", "it"), Error);
}

}  // namespace
}  // namespace nativo::translate
