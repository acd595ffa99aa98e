// Checkpoints that earlier versions wrote still load: tests/data/checkpoints, see its README.
#include <gtest/gtest.h>

#include <filesystem>

#include "io/faulty_disk.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using CheckpointFormatTest = micro::TrainTest;

model::DecoderConfig smallest_config() {
  model::DecoderConfig config;
  config.vocab_size = 16;
  config.hidden_size = 8;
  config.intermediate_size = 16;
  config.layers = 1;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.max_positions = 64;
  return config;
}

/// What stands at place `i` of tensor `which`: exact in f32.
float number(std::size_t which, std::size_t i) {
  return static_cast<float>(which) + static_cast<float>(i) / 1024.0F;
}

TEST_F(CheckpointFormatTest, Version1) {
  fs::create_directories(root_ / "checkpoints");
  fs::copy(fs::path(NATIVO_TEST_DATA) / "checkpoints" / "version-1",
           root_ / "checkpoints" / "step-00000003", fs::copy_options::recursive);
  model::Decoder decoder(smallest_config());
  Optimizer optimizer(std::as_const(decoder).trainable(), {});
  CheckpointStore store(root_, "version-1", 2, io::quick_disk());
  const auto state = store.load(decoder, optimizer);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->step, 3);
  EXPECT_EQ(state->tokens, 288);
  EXPECT_EQ(state->seconds, 1.5);
  EXPECT_EQ(state->first_loss, 2.75);
  EXPECT_EQ(state->loss, 2.5);
  EXPECT_EQ(state->first_eval_loss, 2.7734375);
  EXPECT_EQ(state->eval_loss, 2.625);
  std::size_t which = 0;
  for (const model::Parameter& parameter : decoder.parameters()) {
    for (std::size_t i = 0; i < parameter.value.size(); ++i) {
      ASSERT_EQ(parameter.value[i], number(which, i)) << parameter.name;
    }
    ++which;
  }
  for (const StateTensor& tensor : optimizer.state()) {
    std::vector<float> values(tensor.bytes.size() / sizeof(float));
    model::decode_values(tensor.type, tensor.bytes, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], number(which, i)) << tensor.name;
    }
    ++which;
  }
}

}  // namespace
}  // namespace nativo::train
