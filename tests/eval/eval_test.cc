#include "eval/eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch.h"
#include "base/strings.h"
#include "eval/task.h"
#include "generate/fake_language_model.h"

namespace nativo::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Eval : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }

  EvalOptions one_task(const std::string& kind, const std::string& path) {
    EvalOptions options;
    options.task["t"].kind = kind;
    options.task["t"].path = path;
    return options;
  }

  std::filesystem::path folder_;
  generate::FakeLanguageModel model_;
};

TEST_F(Eval, CommonsenseTakesTheLikelierChoice) {
  const EvalOptions options = one_task("commonsense", file("c.jsonl", R"(
{"premise":"Piove.","choice1":"Esco.","choice2":"Resto.","question":"effect","label":1}
{"premise":"Rise.","choice1":"Era felice.","choice2":"Era triste.","question":"cause","label":0}
{"premise":"Corse.","choice1":"Era tardi.","choice2":"Era presto.","question":"cause","label":1})"));
  model_.likes = [](const std::string& context, const std::string& continuation) {
    EXPECT_TRUE(context == "Piove quindi" || context == "Rise perché" || context == "Corse perché");
    if (continuation == " resto." || continuation == " era felice.") return -2.0;
    return -3.0;  // equals: the first wins, which is wrong for the third item
  };
  const EvalResult result = run_eval(model_, options, "base");
  ASSERT_EQ(result.tasks.size(), 1U);
  EXPECT_THAT(result.tasks[0].columns[0].items, ElementsAre(1, 1, 0));
  EXPECT_EQ(result.tasks[0].columns[0].metric, "acc");
  EXPECT_NEAR(result.tasks[0].columns[0].value(), 2.0 / 3, 1e-12);
}

TEST_F(Eval, NextWordHasAccuracyAndPerplexity) {
  const EvalOptions options =
      one_task("next_word", file("n.jsonl", "{\"text\":\"il cane nero\"}\n{\"text\":\"la casa\"}"));
  model_.likes = [](const std::string&, const std::string& word) {
    return word == " nero" ? -0.25 : -3.75;
  };
  const EvalResult result = run_eval(model_, options, "base");
  EXPECT_THAT(model_.contexts, ElementsAre("il cane", "la"));
  EXPECT_EQ(result.tasks[0].columns[0].value(), 0.5);
  EXPECT_NEAR(result.tasks[0].columns[1].value(), std::exp(2.0), 1e-12);
}

TEST_F(Eval, ClozeNormalisesByCharacters) {
  const EvalOptions options = one_task(
      "cloze",
      file("a.jsonl", R"({"instruction":"Q","option_a":"sì","option_b":"sì certo","answer":"B"})"));
  model_.likes = [](const std::string&, const std::string& choice) {
    return choice == " sì" ? -2.0 : -6.0;  // -1.00 a character against -0.75
  };
  const EvalResult result = run_eval(model_, options, "base");
  EXPECT_EQ(result.tasks[0].columns[0].value(), 0.0);
  EXPECT_EQ(result.tasks[0].columns[1].value(), 1.0);
}

std::string qa_row(int i) {
  return "{\"context\":\"C" + std::to_string(i) + "\",\"question\":\"Q" + std::to_string(i) +
         "\",\"answers\":[\"il gatto\",\"micio\"]}\n";
}

TEST_F(Eval, QuestionAnsweringGeneratesAndScoresTheGold) {
  EvalOptions options = one_task("question_answering", file("q.jsonl", qa_row(1) + qa_row(2)));
  options.task["t"].max_tokens = 20;
  model_.reply = [](const std::string& prompt) {
    return prompt.find("Q1") != std::string::npos ? "Gatto. Domanda: ma" : "micio nero\n\nDomanda";
  };
  model_.likes = [](const std::string&, const std::string& continuation) {
    EXPECT_EQ(continuation, " il gatto");
    return -4.0;
  };
  const EvalResult result = run_eval(model_, options, "base");
  const TaskResult& task = result.tasks[0];
  EXPECT_THAT(task.answers, ElementsAre("Gatto", "micio nero"));
  EXPECT_THAT(task.columns[0].items, ElementsAre(1, 0));
  EXPECT_NEAR(task.columns[1].items[1], 2.0 / 3, 1e-12);
  EXPECT_EQ(task.columns[2].items[0], -0.5);  // 8 characters
  EXPECT_EQ(model_.samplers[0].temperature, 0.0);
  EXPECT_EQ(model_.samplers[0].repetition_penalty, 1.0);
  EXPECT_EQ(model_.samplers[0].max_tokens, 20);
}

TEST_F(Eval, ExamplesStandBeforeTheItemAndNeverAreIt) {
  EvalOptions options =
      one_task("question_answering", file("q.jsonl", qa_row(1) + qa_row(2) + qa_row(3)));
  options.task["t"].shots = 2;
  static_cast<void>(run_eval(model_, options, "base"));
  const auto shown = [](int i, bool solved) {
    const std::string n = std::to_string(i);
    return "Contesto: C" + n + "\nDomanda: Q" + n + "\nRisposta:" + (solved ? " il gatto\n\n" : "");
  };
  EXPECT_THAT(model_.prompts, ElementsAre(shown(2, true) + shown(3, true) + shown(1, false),
                                          shown(1, true) + shown(3, true) + shown(2, false),
                                          shown(1, true) + shown(2, true) + shown(3, false)));
  model_.prompts.clear();
  options.task["t"].fewshot = file("f.jsonl", qa_row(7) + qa_row(8) + qa_row(9));
  options.task["t"].limit = 1;
  static_cast<void>(run_eval(model_, options, "base"));
  EXPECT_THAT(model_.prompts, ElementsAre(shown(7, true) + shown(8, true) + shown(1, false)));
}

TEST_F(Eval, LongPromptsLoseTheirBeginningAndAreCounted) {
  generate::FakeLanguageModel small(60);
  EvalOptions options = one_task("question_answering", file("q.jsonl", qa_row(1) + qa_row(2)));
  options.task["t"].shots = 1;
  options.task["t"].max_tokens = 16;
  const EvalResult result = run_eval(small, options, "base");
  EXPECT_EQ(result.tasks[0].truncated, 2);
  EXPECT_EQ(small.prompt_lengths[0], 44U);
  EXPECT_THAT(small.prompts[0], testing::EndsWith("Risposta:"));
}

TEST_F(Eval, RefusesTasksThatMakeNoSense) {
  const auto complaint = [&](const EvalOptions& options) -> std::string {
    try {
      static_cast<void>(run_eval(model_, options, "base"));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  };
  const std::string path = file("n.jsonl", "{\"text\":\"a b\"}\n{\"text\":\"a b\"}");
  EXPECT_THAT(complaint(one_task("", path)), HasSubstr("eval.task.t"));
  EXPECT_THAT(complaint(one_task("next_word", "")), HasSubstr("no path"));
  EXPECT_THAT(complaint(one_task("poetry", path)), HasSubstr("poetry"));
  EvalOptions many = one_task("next_word", path);
  many.task["t"].shots = 2;  // two rows: the item and only one other
  EXPECT_THAT(complaint(many), HasSubstr("2 solved examples"));
  many.task["t"].shots = 1;
  EXPECT_EQ(complaint(many), "");
  EXPECT_THROW(static_cast<void>(
                   run_eval(model_, one_task("next_word", (folder_ / "none").string()), "base")),
               Error);
}

TEST_F(Eval, AResultSurvivesItsFile) {
  EvalOptions options = one_task("question_answering", file("q.jsonl", qa_row(1) + qa_row(2)));
  options.task["n"].kind = "next_word";
  options.task["n"].path = file("n.jsonl", "{\"text\":\"a b\"}");
  const EvalResult result = run_eval(model_, options, "base");
  const Json json = to_json(result);
  EXPECT_EQ(json["tasks"][1]["metrics"]["em"], 0.0);
  EXPECT_EQ(json["tasks"][1]["items"], 2);
  EXPECT_EQ(json["tasks"][1]["per_item"][0]["answer"], "Non lo so");
  const EvalResult again = result_from_json(parse_json(dump_json(json), "x"), "x");
  EXPECT_EQ(dump_json(to_json(again)), dump_json(json));
  EXPECT_EQ(fingerprints(options)["t"], json["tasks"][1]["fingerprint"]);

  for (const char* key : {"tasks", "model", "format"}) {
    Json broken = json;
    broken.erase(key);
    EXPECT_THROW(static_cast<void>(result_from_json(broken, "x")), Error) << key;
  }
  Json broken = json;
  broken["tasks"][0]["per_item"][0].erase("log_prob");
  EXPECT_THROW(static_cast<void>(result_from_json(broken, "x")), Error);
}

TEST_F(Eval, FingerprintsKnowWhatIsAsked) {
  const EvalOptions options =
      one_task("question_answering", file("q.jsonl", qa_row(1) + qa_row(2)));
  const Json first = fingerprints(options);
  EvalOptions shots = options;
  shots.task["t"].shots = 1;
  EXPECT_NE(fingerprints(shots), first);
  EvalOptions limit = options;
  limit.task["t"].limit = 1;
  EXPECT_NE(fingerprints(limit), first);
  file("q.jsonl", qa_row(1) + qa_row(3));
  EXPECT_NE(fingerprints(options), first);
  file("q.jsonl", qa_row(1) + "\n" + qa_row(2));  // the same rows
  EXPECT_EQ(fingerprints(options), first);
}

TEST_F(Eval, PromptsAreAnsweredInTheChatFormat) {
  model_.reply = [](const std::string& prompt) { return " " + prompt + "! "; };
  const auto answers = answer_prompts(model_, {"Chi sei?", "Dove?"}, generate::greedy(50));
  EXPECT_THAT(answers, ElementsAre("Chi sei?!", "Dove?!"));
  const Json json = dialogues({"p", "q"}, answers, {"x", "y"});
  EXPECT_EQ(dump_json(json["dialogues"][1]), R"({"prompt":"q","base":"Dove?!","tuned":"y"})");
  generate::FakeLanguageModel small(4);
  EXPECT_THROW(static_cast<void>(answer_prompts(small, {"una domanda"}, generate::greedy(5))),
               Error);
}

}  // namespace
}  // namespace nativo::eval
