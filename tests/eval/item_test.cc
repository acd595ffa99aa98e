#include "eval/item.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "io/file.h"

namespace nativo::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kData = std::filesystem::path(NATIVO_TEST_DATA) / "eval";

Json golden(const char* key) {
  return parse_json(io::read_file(kData / "golden.json"), "golden")[key];
}

Item item(TaskKind kind, const Json& row) {
  Result<Item> result = parse_item(kind, row);
  EXPECT_TRUE(result.ok()) << row;
  return result.ok() ? result.value() : Item{};
}

std::vector<std::string> spaced(const Json& choices) {
  std::vector<std::string> result;
  for (const Json& choice : choices) {
    result.push_back(std::string(" ").append(choice.get<std::string>()));
  }
  return result;
}

/// What parse_items says about bad input.
std::string complaint(TaskKind kind, std::string_view bytes) {
  try {
    static_cast<void>(parse_items(kind, bytes, "set.jsonl", 0));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
  return "";
}

TEST(Item, PromptsAreTheHarness) {
  for (const auto& [name, kind] : {std::pair{"commonsense", TaskKind::kCommonsense},
                                   std::pair{"multiple_choice", TaskKind::kMultipleChoice},
                                   std::pair{"cloze", TaskKind::kCloze}}) {
    for (const Json& one : golden(name)) {
      const Item got = item(kind, one["row"]);
      EXPECT_EQ(got.prompt, one["prompt"].get<std::string>());
      EXPECT_EQ(got.choices, spaced(one["choices"]));
      EXPECT_EQ(got.gold, one["gold"].get<std::size_t>());
    }
  }
  for (const Json& one : golden("next_word")) {
    const Item got = item(TaskKind::kNextWord, one["row"]);
    EXPECT_EQ(got.prompt, one["prompt"].get<std::string>());
    EXPECT_THAT(got.choices, ElementsAre(one["target"].get<std::string>()));
    EXPECT_EQ(solved(got), one["row"]["text"].get<std::string>());
  }
}

TEST(Item, OneWordIsAskedForFromNothing) {
  const Item got = item(TaskKind::kNextWord, {{"text", "Ecco"}});
  EXPECT_EQ(got.prompt, "");
  EXPECT_THAT(got.choices, ElementsAre(" Ecco"));
  EXPECT_EQ(solved(got), "Ecco");
}

TEST(Item, ReadsAllFormsOfAnswers) {
  const Json answers[] = {{"Pepe", "un gatto"},
                          {{{"text", "Pepe"}, {"answer_start", 3}}, {{"text", "un gatto"}}},
                          {{"text", {"Pepe", "un gatto"}}, {"answer_start", {1, 2}}}};
  for (const Json& form : answers) {
    const Item got = item(TaskKind::kQuestionAnswering,
                          {{"context", "C."}, {"question", "Q?"}, {"answers", form}});
    EXPECT_EQ(got.prompt, "Contesto: C.\nDomanda: Q?\nRisposta:");
    EXPECT_THAT(got.answers, ElementsAre("Pepe", "un gatto"));
    EXPECT_EQ(solved(got), "Contesto: C.\nDomanda: Q?\nRisposta: Pepe");
  }
}

TEST(Item, ReadsChoicesAsAList) {
  const Item got = item(TaskKind::kMultipleChoice,
                        {{"question", "Q?"}, {"choices", {"sì", "no", "forse"}}, {"label", 2}});
  EXPECT_EQ(got.prompt, "Q?\nA. sì\nB. no\nC. forse\nAnswer:");
  EXPECT_EQ(got.gold, 2U);
}

TEST(Item, ReadsLinesArraysAndNestedFiles) {
  const std::string rows[] = {R"({"text":"a b"})", R"({"text":"c d"})"};
  for (const std::string& bytes :
       {rows[0] + "\r\n\n" + rows[1], "\xEF\xBB\xBF" + rows[0] + "\n" + rows[1] + "\n",
        "[" + rows[0] + ",\n" + rows[1] + "]"}) {
    const std::vector<Item> items = parse_items(TaskKind::kNextWord, bytes, "x", 0);
    ASSERT_EQ(items.size(), 2U) << bytes;
    EXPECT_EQ(items[1].prompt, "c");
    EXPECT_EQ(parse_items(TaskKind::kNextWord, bytes, "x", 1).size(), 1U);
  }
  // Written by Python's gzip and json.dump(indent=1).
  const std::vector<Item> nested =
      load_items(TaskKind::kQuestionAnswering, kData / "nested.json.gz", 0);
  ASSERT_EQ(nested.size(), 3U);
  EXPECT_EQ(nested[2].prompt, "Contesto: Il fiume è lungo.\nDomanda: Com'è il fiume?\nRisposta:");
  EXPECT_THAT(nested[2].answers, ElementsAre("lungo", "è lungo"));
  EXPECT_EQ(load_items(TaskKind::kQuestionAnswering, kData / "nested.json.gz", 2).size(), 2U);
}

TEST(Item, ABadRowEndsTheRunWithItsPlace) {
  EXPECT_THAT(complaint(TaskKind::kNextWord, "{\"text\":\"a b\"}\n\n{\"text\":\"a \"}"),
              HasSubstr("set.jsonl:3: \"text\" ends in a space"));
  EXPECT_THAT(complaint(TaskKind::kNextWord, "{\"text\":\"a b\"}\n{\"text\":NaN}"),
              HasSubstr("set.jsonl:2: not valid JSON"));
  EXPECT_THAT(complaint(TaskKind::kNextWord, "[{\"text\":\"a b\"},{}]"), HasSubstr("row 2"));
  EXPECT_THAT(complaint(TaskKind::kNextWord, " \n"), HasSubstr("no items"));
  EXPECT_THAT(complaint(TaskKind::kNextWord, "{\"data\":[]}"), HasSubstr("another kind"));
  EXPECT_THAT(complaint(TaskKind::kQuestionAnswering, "{\"data\":[{\"paragraphs\":3}]}"),
              HasSubstr("paragraphs"));
}

TEST(Item, SaysWhichFieldIsWrong) {
  const auto wrong = [](TaskKind kind, Json row, const char* key, Json value) {
    row[key] = std::move(value);
    Result<Item> result = parse_item(kind, row);
    EXPECT_FALSE(result.ok()) << row;
    return result.ok() ? std::string() : result.rejection().value;
  };
  const Json copa = {
      {"premise", "P."}, {"choice1", "A."}, {"choice2", "B."}, {"question", "cause"}, {"label", 1}};
  const auto kCopa = TaskKind::kCommonsense;
  ASSERT_TRUE(parse_item(kCopa, copa).ok());
  EXPECT_THAT(wrong(kCopa, copa, "premise", 3), HasSubstr("premise"));
  EXPECT_THAT(wrong(kCopa, copa, "choice2", " "), HasSubstr("choice2"));
  EXPECT_THAT(wrong(kCopa, copa, "question", "why"), HasSubstr("cause"));
  EXPECT_THAT(wrong(kCopa, copa, "label", 2), HasSubstr("label"));
  EXPECT_THAT(wrong(kCopa, copa, "label", 1.0), HasSubstr("label"));
  EXPECT_THAT(wrong(kCopa, copa, "label", "1"), HasSubstr("label"));
  const Json squad = {{"context", "C"}, {"question", "Q"}, {"answers", {"A"}}};
  const auto kSquad = TaskKind::kQuestionAnswering;
  ASSERT_TRUE(parse_item(kSquad, squad).ok());
  for (const Json& answers : {Json::array(), Json(3), Json({""}), Json({Json({"A"})}), Json()}) {
    EXPECT_THAT(wrong(kSquad, squad, "answers", answers), HasSubstr("answer"));
  }
  const Json choices = {{"question", "Q"}, {"choices", {"a", "b"}}, {"answer", "B"}};
  const auto kChoice = TaskKind::kMultipleChoice;
  ASSERT_TRUE(parse_item(kChoice, choices).ok());
  EXPECT_THAT(wrong(kChoice, choices, "answer", "C"), HasSubstr("answer"));
  EXPECT_THAT(wrong(kChoice, choices, "choices", {"a"}), HasSubstr("options"));
  EXPECT_FALSE(parse_item(kChoice, Json::array()).ok());
}

}  // namespace
}  // namespace nativo::eval
