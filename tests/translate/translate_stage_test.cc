#include "translate/translate_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_engine.h"

namespace nativo::translate {
namespace {

using data::Record;
using ::testing::ElementsAre;

Record record(const std::string& question, const std::string& answer,
              const std::string& lang = "en") {
  Record r;
  r.messages = {{"user", question}, {"assistant", answer}};
  r.lang = lang;
  r.source = "test";
  r.licence = "CC0-1.0";
  r.id = data::content_id(r);
  return r;
}

TEST(RecordTranslator, TranslatesEveryMessageAndKeepsTheRest) {
  FakeEngine engine;
  RecordTranslator translator(engine, {}, "it");
  Record source = record("How many? Take `x`.", "- about 12 eggs\n\n```\ncode here\n```\n");
  source.messages.insert(source.messages.begin(), {"system", "You help."});
  const std::string old_id = source.id = data::content_id(source);
  const auto result = translator.translate({source});
  ASSERT_EQ(result.kept.size(), 1U);
  const Record& out = result.kept[0];
  EXPECT_EQ(out.messages[0].content, "YOU HELP.");
  EXPECT_EQ(out.messages[1].content, "HOW MANY? TAKE `x`.");
  EXPECT_EQ(out.messages[2].content, "- ABOUT 12 EGGS\n\n```\ncode here\n```\n");
  EXPECT_EQ(out.lang, "it");
  EXPECT_EQ(out.id, data::content_id(out));
  EXPECT_NE(out.id, old_id);
  ASSERT_EQ(out.lineage.size(), 1U);
  EXPECT_EQ(out.lineage[0]["stage"], "translate");
  EXPECT_EQ(out.lineage[0]["engine"], "fake");
  EXPECT_EQ(out.lineage[0]["source_id"], old_id);
  EXPECT_EQ(out.lineage[0]["segments"], 4);
}

TEST(RecordTranslator, TargetLanguagePassesUnchangedAndOthersAreRejected) {
  FakeEngine engine;
  RecordTranslator translator(engine, {}, "it");
  const Record native = record("Come stai?", "Bene, 12 volte.", "it");
  const auto result = translator.translate({native, record("Wie geht es?", "Gut.", "de")});
  ASSERT_EQ(result.kept.size(), 1U);
  EXPECT_EQ(data::to_line(result.kept[0]), data::to_line(native));
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].reason.rule, "no_engine_for_language");
  EXPECT_EQ(result.rejected[0].reason.value, "de");
  EXPECT_TRUE(engine.asked.empty());
}

TEST(RecordTranslator, PlainTextIsTranslatedToo) {
  FakeEngine engine;
  RecordTranslator translator(engine, {}, "it");
  Record source;
  source.text = "Some words.\nMore words.";
  source.lang = "en";
  const auto result = translator.translate({source});
  ASSERT_EQ(result.kept.size(), 1U);
  EXPECT_EQ(result.kept[0].text, "SOME WORDS.\nMORE WORDS.");
}

TEST(RecordTranslator, TheSameSentenceIsAskedOnce) {
  FakeEngine engine;
  RecordTranslator translator(engine, {}, "it");
  (void)translator.translate({record("Same here.", "Same here."), record("Same here.", "Other.")});
  (void)translator.translate({record("Same here.", "```\nno words\n```\n12 + 1 = 13")});
  EXPECT_THAT(engine.asked, ElementsAre("Same here.", "Other."));
}

TEST(RecordTranslator, ALostSpanIsSavedByTranslatingBetweenSpans) {
  for (const Fault fault : {Fault::kDropPart, Fault::kDoublePart}) {
    FakeEngine engine(fault, "keep");
    RecordTranslator translator(engine, {}, "it");
    const auto result = translator.translate({record("Please keep 12 of `x` here.", "Yes sir.")});
    ASSERT_EQ(result.kept.size(), 1U);
    EXPECT_EQ(result.kept[0].messages[0].content, "PLEASE KEEP 12 OF `x` HERE.");
  }
}

TEST(RecordTranslator, WhatCannotBeProvenIsRejectedWithTheSpan) {
  FakeEngine engine(Fault::kAddNumber, "bad");
  RecordTranslator translator(engine, {}, "it");
  const auto result =
      translator.translate({record("A bad one.", "Fine."), record("A good one.", "Fine.")});
  ASSERT_EQ(result.kept.size(), 1U);
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].reason.rule, "protected_span_added");
  EXPECT_EQ(result.rejected[0].reason.value, "7");
  EXPECT_EQ(result.rejected[0].record.messages[0].content, "A bad one.");  // as it came
}

TEST(RecordTranslator, EngineFailureAndUnknownWordsAreRejected) {
  FakeEngine broken(Fault::kNotOk, "bad");
  RecordTranslator first(broken, {}, "it");
  const auto failed = first.translate({record("A bad one.", "Fine.")});
  ASSERT_EQ(failed.rejected.size(), 1U);
  EXPECT_EQ(failed.rejected[0].reason.rule, "engine_failed");

  FakeEngine ignorant(Fault::kUnknown, "gnarly");
  RecordTranslator second(ignorant, {}, "it");
  const auto unknown = second.translate({record("gnarly thing", "gnarly stuff")});
  ASSERT_EQ(unknown.rejected.size(), 1U);
  EXPECT_EQ(unknown.rejected[0].reason.rule, "too_many_unknown_words");
  EXPECT_EQ(unknown.rejected[0].reason.value, "1.000");
}

TEST(RecordTranslator, AConversationGoesTurnByTurnToAnEngineOfMessages) {
  FakeMessageEngine engine;
  TranslateOptions options;
  options.formality = "formal";
  RecordTranslator translator(engine, options, "it");
  const auto result = translator.translate(
      {record("Hi. How are you?\n\nTell me.", "Well."), record("Who?", "Me, `x`.")});
  ASSERT_EQ(result.kept.size(), 2U);
  EXPECT_EQ(result.kept[0].messages[0].content, "HI. HOW ARE YOU?\n\nTELL ME.");
  EXPECT_EQ(result.kept[1].messages[1].content, "ME, `x`.");
  EXPECT_EQ(result.kept[1].messages[1].role, "assistant");
  EXPECT_EQ(engine.calls, 2);  // one a turn, for all records together
  EXPECT_THAT(
      engine.contexts,
      ElementsAre("user formal", "user formal",
                  "assistant [Hi. How are you?\n\nTell me.=HI. HOW ARE YOU?\n\nTELL ME.] formal",
                  "assistant [Who?=WHO?] formal"));
}

TEST(RecordTranslator, ADamagedMessageIsAskedByParagraphsThenBetweenItsSpans) {
  FakeMessageEngine engine(Fault::kDropPart, "twice");
  RecordTranslator translator(engine, {}, "it");
  const auto result = translator.translate(
      {record("Not twice.\n\nBut `x` here.", "Fine."), record("Now twice `x`.", "Good.")});
  ASSERT_EQ(result.kept.size(), 2U);
  EXPECT_EQ(result.kept[0].messages[0].content, "NOT TWICE.\n\nBUT `x` HERE.");
  EXPECT_EQ(result.kept[1].messages[0].content, "NOW TWICE `x`.");
  EXPECT_THAT(engine.asked,
              ElementsAre("Not twice.\n\nBut `x` here.", "Now twice `x`.", "Not twice.",
                          "But `x` here.", "Now twice", "Fine.", "Good."));
}

TEST(RecordTranslator, ARecordIsGivenUpWhenAMessageStaysDamaged) {
  FakeMessageEngine engine(Fault::kAddNumber, "twice");
  RecordTranslator translator(engine, {}, "it");
  const auto result = translator.translate({record("Now twice `x`.", "Never asked.")});
  ASSERT_EQ(result.rejected.size(), 1U);
  EXPECT_EQ(result.rejected[0].reason.rule, "protected_span_added");
  EXPECT_THAT(engine.asked, ElementsAre("Now twice `x`.", "Now twice"));
}

TEST(RecordTranslator, AnyBatchSplitGivesTheSameBytes) {
  std::vector<Record> records;
  for (int i = 0; i < 40; ++i) {
    records.push_back(record("Question " + std::to_string(i % 7) + " about things?",
                             i % 5 == 0 ? "A bad answer." : "An answer of `x`.",
                             i % 3 == 0 ? "it" : "en"));
  }
  std::vector<std::string> expected;
  for (const std::size_t size : {40U, 1U, 7U}) {
    FakeEngine engine(Fault::kAddNumber, "bad");
    RecordTranslator translator(engine, {}, "it");
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < records.size(); i += size) {
      const auto result = translator.translate(
          {records.begin() + static_cast<std::ptrdiff_t>(i),
           records.begin() + static_cast<std::ptrdiff_t>(std::min(records.size(), i + size))});
      for (const Record& r : result.kept) kept.push_back(data::to_line(r));
    }
    if (expected.empty()) expected = kept;
    EXPECT_EQ(kept, expected) << size;
  }
}

}  // namespace
}  // namespace nativo::translate
