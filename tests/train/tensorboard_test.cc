// Event files, held to the bytes that TensorBoard's own writer gives
// (tools/reference/check_tensorboard.py, tensorboard 2.21.0).
#include "train/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/crc32c.h"
#include "train/micro.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Pair;
using TensorboardTest = micro::TrainTest;

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

fs::path event_file(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  EXPECT_EQ(files.size(), 1u);
  return files.front();
}

TEST(Crc32c, IsThatOfTheStandard) {
  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Tensorboard, WritesTheBytesThatTensorboardReads) {
  EXPECT_EQ(hex(tensorboard_header(1.5)),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
  EXPECT_EQ(hex(tensorboard_event(2.25, 300, {{"loss/train", 0.5}, {"a", -1.0}})),
            "2b00000000000000861bc34b09000000000000024010ac022a1d0a110a0a6c6f73732f747261696e"
            "150000003f0a080a016115000080bf857c7fb1");
}

TEST(Tensorboard, ShowsWhatALineOfTheMetricsHolds) {
  const Json line = {{"step", 7},
                     {"loss", nullptr},
                     {"lr", 0.25},
                     {"eval_loss", 2.0},
                     {"sources", {{"qa", {{"loss", 3.0}, {"targets", 5}}}}}};
  EXPECT_THAT(tensorboard_scalars(line),
              ElementsAre(Pair("loss/held_out", 2.0), Pair("train/learning_rate", 0.25),
                          Pair("source/qa", 3.0)));
}

TEST_F(TensorboardTest, AResumedRunHoldsEachStepOnce) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  int calls = 0;
  input.should_stop = [&] { return ++calls == 13; };
  EXPECT_THROW(train(input), Error);
  model::Decoder again = micro::decoder();
  train(micro::input(again, root_));

  const std::string bytes = io::read_file(event_file(root_ / "tensorboard"));
  std::ofstream(root_ / "expected.jsonl") << io::read_file(root_ / "metrics.jsonl");
  TensorboardWriter(root_ / "rebuilt", root_ / "metrics.jsonl", io::quick_disk());
  EXPECT_TRUE(io::read_file(event_file(root_ / "rebuilt")) == bytes);
}

}  // namespace
}  // namespace nativo::train
