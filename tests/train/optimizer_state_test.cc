// Training with AdamW's state in bf16 and int8: as good as f32, and exact in what a resumed run is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/error.h"
#include "model/safetensors.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using OptimizerStateTest = micro::TrainTest;

TrainInput input_with(model::Decoder& decoder, const fs::path& dir, const std::string& state) {
  TrainInput input = micro::input(decoder, dir);
  input.options.optimizer_state = state;
  return input;
}

TEST_F(OptimizerStateTest, SmallStatesTrainLikeF32) {
  // In the middle of the descent, where what an optimizer does shows most: from 3.5 to 1.1.
  std::map<std::string, double> losses;
  for (const std::string state : {"f32", "bf16", "int8"}) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = input_with(decoder, root_ / state, state);
    input.train = micro::examples(200, 1);
    input.heldout = micro::examples(40, 2);
    input.options.epochs = 4;
    input.options.lr = 3e-3;
    input.options.eval_every = 0;
    input.options.checkpoint_every = 0;
    losses[state] = *train(input).eval_loss;
  }
  EXPECT_LT(losses["f32"], 1.2);
  // Measured: 2e-4 and 2e-3; another seed changes f32's own loss by 2e-2 to 4e-2.
  EXPECT_NEAR(losses["bf16"] / losses["f32"], 1.0, 1e-3);
  EXPECT_NEAR(losses["int8"] / losses["f32"], 1.0, 5e-3);
  EXPECT_NE(losses["bf16"], losses["f32"]);
  EXPECT_NE(losses["int8"], losses["f32"]);
}

TEST_F(OptimizerStateTest, StoppedAtEachStepEqualsNeverStopped) {
  for (const std::string state : {"bf16", "int8"}) {
    model::Decoder through = micro::decoder();
    const TrainResult whole = train(input_with(through, root_ / state, state));
    const std::string bytes = micro::checkpoint_bytes(root_ / state, whole.steps);
    for (std::int64_t stop = 1; stop < whole.steps; ++stop) {
      const fs::path dir = root_ / (state + "-" + std::to_string(stop));
      std::int64_t left = 2 * stop;  // asked between the micro-batches and behind the step
      model::Decoder first = micro::decoder();
      TrainInput input = input_with(first, dir, state);
      input.should_stop = [&] { return --left <= 0; };
      EXPECT_THROW(train(input), Error);
      model::Decoder second = micro::decoder();
      EXPECT_EQ(train(input_with(second, dir, state)).resumed_from, stop);
      ASSERT_TRUE(micro::checkpoint_bytes(dir, whole.steps) == bytes) << state << " " << stop;
      ASSERT_EQ(micro::metrics(dir), micro::metrics(root_ / state)) << state << " " << stop;
      fs::remove_all(dir);
    }
  }
}

TEST_F(OptimizerStateTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const std::string state : {"bf16", "int8"}) {
    std::string first;
    for (const int threads : {1, 3}) {
      set_thread_count(threads);
      const fs::path dir = root_ / (state + std::to_string(threads));
      model::Decoder decoder = micro::decoder();
      TrainInput input = input_with(decoder, dir, state);
      input.options.max_steps = 5;
      train(input);
      const std::string bytes = micro::checkpoint_bytes(dir, 5);
      if (threads == 1) first = bytes;
      EXPECT_TRUE(bytes == first) << state;
    }
    set_thread_count(1);
  }
}

TEST_F(OptimizerStateTest, IsStoredAsItIsHeld) {
  for (const std::string state : {"f32", "bf16", "int8"}) {
    const fs::path dir = root_ / state;
    model::Decoder decoder = micro::decoder();
    TrainInput input = input_with(decoder, dir, state);
    input.options.max_steps = 2;
    train(input);
    const fs::path file =
        CheckpointStore(dir, "key-1", 2, io::quick_disk()).folder(2) / "optimizer.safetensors";
    const model::SafetensorsFile stored(file);
    double elements = 0.0;
    double bytes = 0.0;
    for (const model::Parameter& parameter : decoder.parameters()) {
      elements += static_cast<double>(parameter.value.size());
      EXPECT_EQ(stored.find("first." + parameter.name)->shape, parameter.shape);
      EXPECT_EQ(stored.find("second." + parameter.name)->shape, parameter.shape);
    }
    for (const model::TensorEntry& entry : stored.header().tensors) {
      bytes += static_cast<double>(entry.bytes);
    }
    // Norms of 16 weights are blocks of their own, with two scales like whole ones.
    const double expected = state == "f32" ? 8.0 : state == "bf16" ? 4.0 : 2.0625;
    EXPECT_NEAR(bytes / elements, expected, state == "int8" ? 0.02 : 0.0) << state;
  }
}

TEST_F(OptimizerStateTest, AnotherTypesStateIsNotTaken) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = input_with(decoder, root_, "bf16");
  input.options.max_steps = 2;
  train(input);
  // The same key, which the pipeline would not give it: the file itself says what it holds.
  for (const StateType type : {StateType::kF32, StateType::kInt8}) {
    Optimizer optimizer(std::as_const(decoder).trainable(), {.state = type});
    CheckpointStore store(root_, "key-1", 2, io::quick_disk());
    try {
      store.load(decoder, optimizer);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_THAT(error.what(), HasSubstr("optimizer.safetensors"));
    }
  }
}

TEST_F(OptimizerStateTest, UnknownTypesAreRefused) {
  model::Decoder decoder = micro::decoder();
  try {
    train(input_with(decoder, root_, "int4"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("int4"));
  }
}

}  // namespace
}  // namespace nativo::train
