#include "translate/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_engine.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;

/// Translates word by word from a table; what it does to some sentences is up to the test.
class TableEngine : public TranslationEngine {
 public:
  explicit TableEngine(std::string name, std::map<std::string, std::string> table)
      : name_(std::move(name)), table_(std::move(table)) {}
  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> all;
    for (const Sentence& sentence : sentences) {
      asked.push_back(sentence.text);
      const auto found = table_.find(sentence.text);
      all.push_back(found == table_.end() ? Translation{} : Translation{found->second, 4, 0, true});
    }
    return all;
  }
  std::string name() const override { return name_; }
  std::string version() const override { return "1"; }
  std::vector<std::string> asked;

 private:
  std::string name_;
  std::map<std::string, std::string> table_;
};

constexpr const char* kCat = "The cat is sleeping on the old red sofa in the kitchen.";
constexpr const char* kGatto = "Il gatto sta dormendo sul vecchio divano rosso in cucina.";
constexpr const char* kDog = "My neighbour's dog barks at every single car.";
constexpr const char* kCane = "Il cane del mio vicino abbaia a ogni singola macchina.";

data::Record text_record(const std::string& text, const std::string& source = "s") {
  data::Record record;
  record.text = text;
  record.lang = "en";
  record.source = source;
  record.id = data::content_id(record);
  return record;
}

class LadderTest : public testing::Test {
 protected:
  TableEngine cheap_{
      "cheap",
      {{kCat, "Il gatto gatto gatto gatto gatto gatto gatto gatto gatto gatto gatto."},
       {kDog, kCane}}};
  TableEngine good_{"good", {{kCat, kGatto}}};
  TranslateOptions options_;
  TranslationMemory memory_;
  std::vector<LadderStep> steps() { return {{"cheap:fast", &cheap_}, {"good", &good_}}; }
};

TEST_F(LadderTest, AFailedRecordGoesOneStepUpAndSaysWhy) {
  RecordTranslator translator(steps(), options_, "it", nullptr, &memory_, nullptr);
  const auto result = translator.translate({text_record(kCat), text_record(kDog)});
  ASSERT_EQ(result.kept.size(), 2U);
  EXPECT_EQ(result.kept[0].text, kGatto);
  EXPECT_EQ(result.kept[1].text, kCane);
  const Json& climbed = result.kept[0].lineage[0];
  EXPECT_EQ(climbed["engine"], "good");
  EXPECT_EQ(climbed["step"], "good");
  EXPECT_EQ(climbed["failures"][0]["step"], "cheap:fast");
  EXPECT_EQ(climbed["failures"][0]["rule"], "repetition");
  EXPECT_THAT(climbed["failures"][0]["value"].get<std::string>(), testing::HasSubstr(" > 20"));
  EXPECT_EQ(result.kept[1].lineage[0]["step"], "cheap:fast");
  EXPECT_FALSE(result.kept[1].lineage[0].contains("failures"));
  EXPECT_THAT(good_.asked, ElementsAre(kCat));  // only what failed below
  EXPECT_EQ(result.counts["rows_by_step"]["good"], 1);
  EXPECT_EQ(result.counts["failures"]["cheap:fast"]["repetition"], 1);
}

TEST_F(LadderTest, TheLastStepsFailureRejects) {
  RecordTranslator translator({{"cheap:fast", &cheap_}}, options_, "it", nullptr, &memory_,
                              nullptr);
  const auto one = translator.translate({text_record(kCat)});
  ASSERT_EQ(one.rejected.size(), 1U);
  EXPECT_EQ(one.rejected[0].reason.rule, "repetition");
  EXPECT_EQ(one.rejected[0].record.text, kCat);
  EXPECT_TRUE(one.rejected[0].record.lineage.empty());

  TableEngine mute("mute", {});
  RecordTranslator both({{"cheap:fast", &cheap_}, {"mute", &mute}}, options_, "it", nullptr,
                        &memory_, nullptr);
  const auto two = both.translate({text_record(kCat)});
  ASSERT_EQ(two.rejected.size(), 1U);
  EXPECT_EQ(two.rejected[0].reason.rule, "engine_failed");
  const Json& failures = two.rejected[0].record.lineage[0]["failures"];
  EXPECT_EQ(failures[0]["rule"], "repetition");
  EXPECT_EQ(failures[1]["step"], "mute");
  EXPECT_EQ(two.rejected[0].record.lang, "en");
}

TEST_F(LadderTest, ASourceMayBeginHigherAndTheRouterSendsWhatIsComplex) {
  TableEngine better("good", {{kCat, kGatto}, {kDog, kCane}});
  const std::vector<LadderStep> ladder = {{"cheap:fast", &cheap_}, {"good", &better}};
  options_.route.complex = "good";
  options_.route.threshold = 0.5;
  options_.route.rarity = {0.1, 1.0};
  WordFrequencies frequencies;
  for (int i = 0; i < 10; ++i) frequencies.add(kDog);
  const Router router(options_.route, {"cheap:fast", "good"}, {{"hard", "good"}, {"s", ""}},
                      frequencies);
  RecordTranslator translator(ladder, options_, "it", &router, &memory_, nullptr);
  const auto result =
      translator.translate({text_record(kDog), text_record(kCat), text_record(kDog, "hard")});
  ASSERT_EQ(result.kept.size(), 3U);
  EXPECT_EQ(result.kept[0].lineage[0]["route"]["to"], "cheap:fast");
  const Json& rare = result.kept[1].lineage[0]["route"];
  EXPECT_EQ(rare["to"], "good");
  EXPECT_GE(rare["score"].get<double>(), 0.5);
  EXPECT_GT(rare["why"]["rarity"].get<double>(), 0.5);
  EXPECT_EQ(result.kept[2].lineage[0]["route"]["why"], "source");
  EXPECT_FALSE(result.kept[1].lineage[0].contains("failures"));
  EXPECT_THAT(cheap_.asked, ElementsAre(kDog));
}

TEST_F(LadderTest, TheRoundTripIsScored) {
  TableEngine faithful("back", {{kCane, kDog}});
  TableEngine lost("back", {{kCane, "Apples are sold here."}});
  options_.round_trip = 40;
  for (TableEngine* back : {&faithful, &lost}) {
    TranslationMemory memory;
    RecordTranslator translator({{"cheap:fast", &cheap_}}, options_, "it", nullptr, &memory, back);
    const auto result = translator.translate({text_record(kDog)});
    if (back == &faithful) {
      ASSERT_EQ(result.kept.size(), 1U);
      EXPECT_EQ(result.kept[0].lineage[0]["round_trip"], 100.0);
      EXPECT_EQ(result.counts["round_trip"], Json({{"95", 1}}));
    } else {
      ASSERT_EQ(result.rejected.size(), 1U);
      EXPECT_EQ(result.rejected[0].reason.rule, "round_trip");
      EXPECT_EQ(result.counts["round_trip"].size(), 1U);  // failed, and counted
    }
  }
}

TEST_F(LadderTest, TheMemoryServesAnotherRunAndChangesNothing) {
  const std::vector<data::Record> records = {text_record(kCat), text_record(kDog)};
  RecordTranslator first(steps(), options_, "it", nullptr, &memory_, nullptr);
  const auto before = first.translate(records);
  cheap_.asked.clear();
  good_.asked.clear();
  RecordTranslator second(steps(), options_, "it", nullptr, &memory_, nullptr);
  const auto after = second.translate(records);
  EXPECT_TRUE(cheap_.asked.empty());
  EXPECT_TRUE(good_.asked.empty());
  ASSERT_EQ(after.kept.size(), before.kept.size());
  for (std::size_t i = 0; i < after.kept.size(); ++i) {
    EXPECT_EQ(data::to_line(after.kept[i]), data::to_line(before.kept[i]));
  }
  EXPECT_EQ(second.counts().asked, 0U);
  EXPECT_EQ(second.counts().remembered, first.counts().asked + first.counts().remembered);
  EXPECT_EQ(dump_json(after.counts), dump_json(before.counts));
}

TEST_F(LadderTest, EveryRecordStandsAlone) {
  std::vector<data::Record> records;
  for (int i = 0; i < 12; ++i) records.push_back(text_record(i % 3 == 0 ? kCat : kDog));
  std::vector<std::string> expected;
  for (const std::size_t size : {12U, 1U, 5U}) {
    TranslationMemory memory;
    RecordTranslator translator(steps(), options_, "it", nullptr, &memory, nullptr);
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < records.size(); i += size) {
      const auto end = std::min(records.size(), i + size);
      for (const data::Record& r :
           translator
               .translate({records.begin() + static_cast<std::ptrdiff_t>(i),
                           records.begin() + static_cast<std::ptrdiff_t>(end)})
               .kept) {
        lines.push_back(data::to_line(r));
      }
    }
    if (expected.empty()) expected = lines;
    EXPECT_EQ(lines, expected) << size;
  }
}

}  // namespace
}  // namespace nativo::translate
