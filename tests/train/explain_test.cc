#include "train/explain.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "io/file.h"
#include "io/temp_folder.h"
#include "train/metrics.h"
#include "train/micro.h"
#include "train/plan.h"

namespace nativo::train {
namespace {

using ::testing::ElementsAre;

TEST(Explain, TellsWhatIsReadAndWhatIsTrained) {
  const std::vector<Example> examples = {
      {.tokens = {10, 11, 12, 13},
       .loss_mask = {0, 0, 1, 1},
       .id = "a",
       .source = "qa",
       .lang = "it"},
      {.tokens = {20, 21, 22}, .loss_mask = {1, 1, 0}, .id = "b"}};
  const Row row{{{0, 0, 3}, {1, 0, 2}}, 5};
  const Row* const rows[] = {&row};
  const std::vector<ExplainedRow> explained = explain_rows(examples, rows, 8);
  ASSERT_EQ(explained.size(), 1u);
  EXPECT_EQ(explained[0].length, 8);
  EXPECT_EQ(explained[0].used, 5);
  EXPECT_EQ(explained[0].trained, 3);
  EXPECT_EQ(dump_json(to_json(explained[0])["documents"]),
            R"([{"id":"a","source":"qa","lang":"it","begin":0,"length":4,"trained":2,)"
            R"("tokens":[10,11,12,13],"positions":[0,1,2,null],"mask":[0,0,1,1]},)"
            R"({"id":"b","source":"","lang":"","begin":0,"length":3,"trained":1,)"
            R"("tokens":[20,21,22],"positions":[0,1,null],"mask":[0,1,0]}])");
}

TEST(Explain, ALaterPieceOfALongExampleIsTrainedOnButForItsFirstToken) {
  const std::vector<Example> examples = {
      {.tokens = {1, 2, 3, 4, 5, 6}, .loss_mask = {1, 1, 1, 1, 1, 1}, .id = "long"}};
  const Row row{{{0, 3, 2}}, 2};
  const Row* const rows[] = {&row};
  const ExplainedDocument document = explain_rows(examples, rows, 3)[0].documents[0];
  EXPECT_EQ(document.begin, 3);
  EXPECT_EQ(document.length, 6);
  std::vector<int> trained;
  for (const ExplainedToken& token : document.tokens) trained.push_back(token.trained ? 1 : 0);
  EXPECT_THAT(trained, ElementsAre(0, 1, 1));  // 4 was the target of the piece before
}

TEST(Explain, AStepTrainsEachTargetOfItsRowsOnce) {
  const auto examples = micro::examples(43, 1);
  TrainOptions options = micro::options();
  TrainPlan plan(examples, options, micro::config());
  std::int64_t trained = 0;
  for (std::int64_t step = 1; step <= plan.steps(); ++step) {
    for (const ExplainedRow& row : explain_rows(examples, plan.rows(step, 0), options.seq_len)) {
      trained += row.trained;
    }
  }
  EXPECT_EQ(trained, plan.packing().targets * options.epochs);
}

TEST(TakenBatch, IsThatOfTheStepOrWhereTheRunIs) {
  const io::TempFolder folder;
  const std::filesystem::path path = folder.path() / "metrics.jsonl";
  EXPECT_FALSE(taken_batch(path, 1));
  io::write_file_atomically(path, R"({"step": 0}
{"step": 1, "batch": "a"}
{"step": 2, "batch": "b", "row_offset": 5}
{"step": 3, "bat)");
  EXPECT_EQ(taken_batch(path, 1)->batch, "a");
  EXPECT_EQ(taken_batch(path, 1)->row_offset, 0);
  EXPECT_EQ(taken_batch(path, 2)->batch, "b");
  EXPECT_EQ(taken_batch(path, 2)->row_offset, 5);
  EXPECT_EQ(taken_batch(path, 9)->batch, "");
  EXPECT_EQ(taken_batch(path, 9)->row_offset, 5);
  for (const char* wrong :
       {"-1", "1.5", "\"5\"", "1e300", "9000000000000000000", "null", "18000000000000000000"}) {
    io::write_file_atomically(path, fmt::format(R"({{"step": 1, "row_offset": {}}})", wrong));
    EXPECT_THROW(static_cast<void>(taken_batch(path, 1)), Error) << wrong;
  }
}

}  // namespace
}  // namespace nativo::train
