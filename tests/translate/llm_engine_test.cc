// The engine over a scripted model: what it asks, what it believes, when it asks again.
#include "translate/llm_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "io/temp_folder.h"
#include "translate/scripted_model.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using generate::ChatAnswer;
using generate::ChatEnd;
using generate::ChatQuestion;
using testing::AllOf;
using testing::HasSubstr;

struct Desk {
  explicit Desk(ScriptedModel::Answer answer = ScriptedModel::well_behaved) {
    auto owned = std::make_unique<ScriptedModel>(std::move(answer));
    model = owned.get();
    engine = make_llm_engine(std::move(owned), load_prompt("", "en", "it"), 4096, 7);
  }
  Translation ask(const std::string& text, const Context* context = nullptr) {
    return engine->translate(std::vector{Sentence{text, {}, context}})[0];
  }
  ScriptedModel* model = nullptr;
  std::unique_ptr<TranslationEngine> engine;
};

TEST(LlmEngine, TranslatesMessagesWithTheirContext) {
  Desk desk;
  EXPECT_EQ(desk.engine->unit(), Unit::kMessage);
  EXPECT_EQ(desk.engine->name(), "llm");
  EXPECT_THAT(desk.engine->version(), AllOf(HasSubstr("scripted 1"), HasSubstr("prompt ")));
  const std::vector<Turn> before = {{"user", "What is it?", "Che cos'è?"}};
  const Context context{"assistant", before, Formality::kInformal, {}};
  const Translation result = desk.ask("A list:\n- 12 eggs\n- `milk`", &context);
  EXPECT_TRUE(result.ok) << result.reason;
  EXPECT_EQ(result.text, "A LIST:\n- 12 EGGS\n- `milk`");
  EXPECT_EQ(result.words, 7U);
  ASSERT_EQ(desk.model->asked.size(), 1U);
  const ChatQuestion& asked = desk.model->asked[0];
  EXPECT_THAT(asked.messages.front().content, HasSubstr("\"tu\""));
  EXPECT_THAT(asked.messages.back().content,
              AllOf(HasSubstr("Che cos'è?"), HasSubstr("assistant")));
  EXPECT_EQ(asked.max_tokens, 26 + 128 + 7);
}

TEST(LlmEngine, ADamagedAnswerIsAskedForOnceMoreWithTheProblem) {
  Desk desk([](const ChatQuestion& question) {
    if (question.messages.back().content.find("cannot be used") != std::string::npos) {
      return ScriptedModel::says(tagged("PRENDI 12"));
    }
    return ScriptedModel::says(tagged("PRENDI 13"));
  });
  const Translation result = desk.ask("take 12");
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.text, "PRENDI 12");
  ASSERT_EQ(desk.model->asked.size(), 2U);
  const auto& messages = desk.model->asked[1].messages;
  EXPECT_EQ(messages[messages.size() - 2].role, "assistant");
  EXPECT_EQ(messages[messages.size() - 2].content, tagged("PRENDI 13"));
  EXPECT_THAT(messages.back().content, HasSubstr("\"12\" is missing or changed"));
}

TEST(LlmEngine, APartThatOnlyTheStageKnowsOfMustComeBack) {
  // "lista" was put into the text by a glossary.
  Desk desk([](const ChatQuestion& question) {
    const bool again =
        question.messages.back().content.find("\"lista\" is missing") != std::string::npos;
    return ScriptedModel::says(tagged(again ? "Apri la lista." : "Apri l'elenco."));
  });
  const Sentence sentence{"Open the lista.", {{9, 14, text::SpanKind::kIdentifier}}, nullptr};
  const Translation result = desk.engine->translate(std::vector{sentence})[0];
  EXPECT_TRUE(result.ok) << result.reason;
  EXPECT_EQ(result.text, "Apri la lista.");
}

TEST(LlmEngine, GivesUpWithAReason) {
  const auto reason = [](ScriptedModel::Answer answer, std::size_t times) {
    Desk desk(std::move(answer));
    const Translation result = desk.ask("take 12");
    EXPECT_FALSE(result.ok);
    EXPECT_EQ(desk.model->asked.size(), times) << result.reason;
    return result.reason;
  };
  const auto always = [](ChatEnd end, const std::string& text, const std::string& why = {}) {
    return [=](const ChatQuestion&) { return ChatAnswer{end, text, why}; };
  };
  EXPECT_THAT(reason(always(ChatEnd::kStop, "I'm sorry, I can't."), 2),
              AllOf(HasSubstr("no_translation"), HasSubstr("I'm sorry")));
  EXPECT_THAT(reason(always(ChatEnd::kStop, tagged("senza numero")), 2),
              HasSubstr("protected_span_lost"));
  EXPECT_EQ(reason(always(ChatEnd::kLength, ""), 1), "length");
  EXPECT_EQ(reason(always(ChatEnd::kContentFilter, ""), 1), "content_filter");
  EXPECT_EQ(reason(always(ChatEnd::kRefusal, "No."), 1), "refusal: No.");
  EXPECT_EQ(reason(always(ChatEnd::kFailed, "", "400: too long"), 1), "400: too long");
}

TEST(LlmEngine, TheStageRejectsWithTheEnginesReason) {
  Desk desk([](const ChatQuestion& question) {
    return question.messages.back().content.find("bad") != std::string::npos
               ? ChatAnswer{ChatEnd::kRefusal, "No.", {}}
               : ScriptedModel::well_behaved(question);
  });
  TranslateOptions options;
  RecordTranslator translator(*desk.engine, options, "it");
  data::Record good;
  good.messages = {{"user", "Take 12."}, {"assistant", "Here you are."}};
  good.lang = "en";
  data::Record bad = good;
  bad.messages[1].content = "A bad thing.";
  const auto result = translator.translate({bad, good});
  ASSERT_EQ(result.kept.size(), 1U);
  EXPECT_EQ(result.kept[0].messages[0].content, "TAKE 12.");
  EXPECT_EQ(result.kept[0].lineage[0]["engine"], "llm");
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].reason.rule, "engine_failed");
  EXPECT_EQ(result.rejected[0].reason.value, "refusal: No.");
}

TEST(LlmEngine, OptionsAreCheckedBeforeAnythingIsAsked) {
  LlmOptions options;
  const auto code = [&] {
    try {
      check_llm_engine(options, "en", "it");
    } catch (const Error& e) {
      return e.code();
    }
    return ExitCode::kOk;
  };
  EXPECT_EQ(code(), ExitCode::kConfig);  // neither url nor model_dir
  options.chat.url = "http://127.0.0.1:1/v1";
  EXPECT_EQ(code(), ExitCode::kConfig);  // no model
  options.chat.model = "m";
  EXPECT_EQ(code(), ExitCode::kOk);
  options.chat.model_dir = "/nowhere";
  EXPECT_EQ(code(), ExitCode::kConfig);  // both
  options.chat.url.clear();
  EXPECT_EQ(code(), ExitCode::kMissingInput);
  options.prompt = "/nowhere.prompt";
  EXPECT_EQ(code(), ExitCode::kMissingInput);
}

}  // namespace
}  // namespace nativo::translate
