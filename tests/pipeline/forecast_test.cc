// What `nativo plan` says about the ladder, from records alone: no engine is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/scratch.h"
#include "data/stage.h"
#include "pipeline/pipeline.h"
#include "text/tokenizer.h"

namespace nativo::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class ForecastTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    data::StageWriter writer(
        folder_ / "ingest",
        {.name = "ingest", .key = "0123456789abcdef", .version = 1, .options = {}});
    const auto keep = [&](const std::string& text, const std::string& lang,
                          const std::string& source) {
      data::Record record;
      record.text = text;
      record.lang = lang;
      record.source = source;
      record.id = data::content_id(record);
      writer.count_in();
      writer.keep(record);
    };
    keep("Two words.", "en", "plain");
    keep("Three more words.", "en", "plain");
    keep("Già italiano, non si conta.", "it", "plain");
    keep("Sent there anyway.", "en", "hard");
    keep("```\nint main() { return 0; }\n```\nCode.", "en", "plain");
    writer.finish();
    options_.translate.ladder = {"bulk", "llm"};
    options_.translate.route.complex = "llm";
    options_.translate.route.threshold = 0.5;
    options_.translate.route.rarity.weight = 0;
    options_.translate.route.code = {0.5, 0.5};
    options_.source["plain"] = {};
    options_.source["hard"].translate = "llm";
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  PipelineOptions options_;
};

TEST_F(ForecastTest, SaysHowManyRowsWordsAndTokensEachStepGetsAndWhy) {
  const auto forecast = forecast_routes(options_, folder_ / "ingest", nullptr);
  ASSERT_EQ(forecast.size(), 2U);
  EXPECT_EQ(forecast[0].step, "bulk");
  EXPECT_EQ(forecast[0].rows, 2U);
  EXPECT_EQ(forecast[0].words, 7U);    // words and marks
  EXPECT_EQ(forecast[0].tokens, 10U);  // 10 / 3.3 and 17 / 3.3, rounded up
  EXPECT_TRUE(forecast[0].reasons.empty());
  EXPECT_EQ(forecast[1].step, "llm");
  EXPECT_EQ(forecast[1].rows, 2U);
  EXPECT_THAT(forecast[1].reasons, ElementsAre(Pair("code", 1), Pair("source", 1)));
}

TEST_F(ForecastTest, ATokenizerCountsWhereThereIsOne) {
  const text::Tokenizer tokenizer = text::Tokenizer::from_bytes(
      text::train_tokenizer({"Two words. Three more words.", "ab cd ef gh"}, 300, {}), "t");
  const auto forecast = forecast_routes(options_, folder_ / "ingest", &tokenizer);
  EXPECT_EQ(forecast[0].tokens,
            tokenizer.encode("Two words.").size() + tokenizer.encode("Three more words.").size());
  EXPECT_EQ(forecast[0].words, 7U);
}

TEST_F(ForecastTest, AStepThatIsNotOnTheLadderIsRefused) {
  options_.source["hard"].translate = "lmm";
  EXPECT_THROW((void)forecast_routes(options_, folder_ / "ingest", nullptr), Error);
}

}  // namespace
}  // namespace nativo::pipeline
