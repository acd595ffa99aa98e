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

TEST(TrainingMemory, AnUnknownRungIsRefused) {
  TrainOptions options;
  options.recompute = "everything";
  EXPECT_THROW(static_cast<void>(training_shape(options)), Error);
}

}  // namespace
}  // namespace nativo::train
