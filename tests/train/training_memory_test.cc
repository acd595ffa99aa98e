#include "train/training_memory.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/decoder.h"
#include "model/model_size.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

constexpr std::size_t kGiB = std::size_t{1} << 30;

TrainOptions options_of(std::int64_t micro_batch, std::int64_t rows) {
  TrainOptions options;
  options.seq_len = 64;
  options.micro_batch = micro_batch;
  options.batch_tokens = 64 * rows;
  return options;
}

std::size_t bytes_of(const TrainingMemory& memory, std::string_view purpose, Phase phase) {
  for (const MemoryPurpose& found : memory.purposes) {
    if (found.name == purpose) return found.bytes[static_cast<std::size_t>(phase)];
  }
  return 0;
}

TEST(TrainingMemory, KnowsTheClassicRule) {
  const std::vector<std::pair<const char*, double>> known = {
      {"500m", 12}, {"1b", 23}, {"2b", 45}, {"3b", 67}, {"5b", 112}, {"7b", 156}, {"10b", 224}};
  for (const auto& [size, gib] : known) {
    const auto bytes = static_cast<double>(classic_rule(model::model_size(size).parameters));
    EXPECT_NEAR(bytes / static_cast<double>(kGiB), gib, 1.0) << size;
  }
}

TEST(TrainingMemory, IsWhatADecoderAndItsOptimizerHold) {
  const model::DecoderConfig config = model::preset("tiny", 512);
  for (const bool accumulates : {false, true}) {
    const TrainOptions options = options_of(2, accumulates ? 8 : 2);
    const TrainingMemory plan = training_memory(config, options, {});
    model::Decoder decoder(config);
    decoder.initialize(1);
    const model::TrainingShape shape = training_shape(options);
    decoder.enable_gradients(shape.gradients);
    model::Batch batch;
    batch.rows = shape.rows;
    batch.length = shape.length;
    const auto tokens = static_cast<std::size_t>(shape.rows * shape.length);
    batch.tokens.assign(tokens, 3);
    batch.targets.assign(tokens, 4);
    batch.documents.assign(tokens, 0);
    for (std::size_t i = 0; i < tokens; ++i) {
      batch.positions.push_back(static_cast<std::int32_t>(i % 64));
    }
    decoder.forward_backward(batch, {.scale = 1.0F, .recompute = shape.recompute});
    const Optimizer optimizer(decoder.trainable(), {});
    std::size_t state = 0;
    for (const StateTensor& tensor : optimizer.state()) state += tensor.bytes.size();
    EXPECT_EQ(plan.in(Phase::kBackward),
              kProgramBytes + kBufferBytes + decoder.memory().total() + state);
    EXPECT_EQ(bytes_of(plan, "optimizer state", Phase::kStep), state);
  }
}

TEST(TrainingMemory, ChangesNoMoreThanItMust) {
  const model::DecoderConfig config = model::model_size("7b").config;
  const auto choice = [&](std::size_t gib) { return fitting_choice(config, {}, {}, gib * kGiB); };
  EXPECT_EQ(choice(400).settings, "");
  EXPECT_EQ(choice(130).settings, "train.background_checkpoints=false");
  EXPECT_EQ(choice(112).settings, "train.background_checkpoints=false train.recompute=block");
  EXPECT_EQ(choice(60).settings, "train.method=lora");
  EXPECT_EQ(choice(24).settings, "train.method=qlora-int8");
  EXPECT_EQ(choice(18).settings, "train.micro_batch=1 train.method=qlora-int8");
  for (const std::size_t gib : {400, 130, 112, 60, 24, 18, 8}) {
    EXPECT_LE(choice(gib).peak, gib * kGiB) << gib;
  }
  EXPECT_GT(choice(1).peak, kGiB);
  EXPECT_NE(choice(1).settings.find("train.method=qlora-nf4"), std::string::npos);
}

TEST(TrainingMemory, RefusesWhatDoesNotFitAndSaysWhatWould) {
  const model::DecoderConfig config = model::model_size("7b").config;
  EXPECT_NO_THROW(require_memory(config, {}, {}, 400 * kGiB));
  try {
    require_memory(config, {}, {}, 24 * kGiB);
    FAIL() << "7 B do not train in 24 GiB";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_NE(error.hint().find("it fits with"), std::string::npos) << error.hint();
    EXPECT_NE(error.hint().find("train.method=qlora"), std::string::npos) << error.hint();
  }
  try {
    require_memory(config, {}, {}, kGiB);
    FAIL() << "nor in 1";
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("even with"), std::string::npos) << error.hint();
  }
}

TEST(TrainingMemory, AnUnknownRungIsRefused) {
  TrainOptions options;
  options.recompute = "everything";
  EXPECT_THROW(static_cast<void>(training_shape(options)), Error);
}

}  // namespace
}  // namespace nativo::train
