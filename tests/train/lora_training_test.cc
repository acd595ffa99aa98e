// Training of adapters: what moves, what stays, what a checkpoint holds, and that a stop does not
// show, dropout included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "model/hf_directory.h"
#include "model/peft_adapter.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/trainer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using LoraTrainingTest = micro::TrainTest;

/// The micro model with adapters and dropout, its base in NF4 if asked.
model::Decoder adapted(const std::string& method = "lora", double dropout = 0.1) {
  model::Decoder dense = micro::decoder();
  LoraTableOptions options;
  model::Decoder decoder(dense.config(), quantization_of(method, options));
  decoder.load([&](const model::Parameter& parameter, std::span<float> values) {
    for (const model::Parameter& from : dense.parameters()) {
      if (from.name == parameter.name) std::ranges::copy(from.value, values.begin());
    }
  });
  options.lora.rank = 4;
  options.lora.alpha = 8.0;
  options.lora.dropout = dropout;
  decoder.attach_lora(model::resolve_lora(options.lora, decoder.config()), 1);
  return decoder;
}

std::string adapter_bytes(const fs::path& dir, std::int64_t step) {
  const fs::path folder = CheckpointStore(dir, "key-1", 2, io::quick_disk()).folder(step);
  return io::read_file(folder / "adapter_model.safetensors") +
         io::read_file(folder / "optimizer.safetensors");
}

TEST_F(LoraTrainingTest, AdaptersLearnOnEveryBaseAndTheBaseStays) {
  for (const char* method : {"lora", "qlora-int8", "qlora-nf4"}) {
    model::Decoder decoder = adapted(method);
    std::vector<float> before;
    for (const model::Parameter& parameter : decoder.parameters()) {
      before.insert(before.end(), parameter.value.begin(), parameter.value.end());
    }
    const TrainResult result = train(micro::input(decoder, root_ / method));
    EXPECT_LT(*result.eval_loss, *result.first_eval_loss - 0.05) << method;
    std::vector<float> after;
    for (const model::Parameter& parameter : decoder.parameters()) {
      EXPECT_TRUE(parameter.gradient.empty());
      after.insert(after.end(), parameter.value.begin(), parameter.value.end());
    }
    EXPECT_TRUE(before == after) << method;
  }
}

TEST_F(LoraTrainingTest, ACheckpointHoldsTheAdapterAndItsMomentsOnly) {
  model::Decoder decoder = adapted();
  const TrainResult result = train(micro::input(decoder, root_));
  CheckpointStore store(root_, "key-1", 2, io::quick_disk());
  const fs::path folder = store.folder(result.steps);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(
                         "adapter_config.json", "adapter_model.safetensors",
                         "optimizer.safetensors", "state.json", "manifest.json"));
  // It is an adapter that PEFT's readers, and ours, take as it is.
  model::Decoder base = micro::decoder();
  model::load_adapter(base, folder);
  const auto evaluated = heldout_loss(base, micro::examples(2, 2), 32, 2).mean;
  EXPECT_EQ(evaluated, result.eval_loss);
}

TEST_F(LoraTrainingTest, StoppedAtEachStepEqualsNeverStopped) {
  for (const char* method : {"lora", "qlora-nf4"}) {
    const fs::path through = root_ / method / "through";
    model::Decoder whole = adapted(method);
    const TrainResult expected = train(micro::input(whole, through));
    for (std::int64_t stop = 1; stop < expected.steps; ++stop) {
      const fs::path dir = root_ / method / std::to_string(stop);
      std::int64_t left = 2 * stop;  // asked between a step's two micro-batches and behind them
      model::Decoder first = adapted(method);
      TrainInput input = micro::input(first, dir);
      input.should_stop = [&] { return --left <= 0; };
      EXPECT_THROW(train(input), Error);
      model::Decoder second = adapted(method);
      const TrainResult result = train(micro::input(second, dir));
      EXPECT_EQ(result.resumed_from, stop);
      ASSERT_TRUE(adapter_bytes(dir, expected.steps) == adapter_bytes(through, expected.steps))
          << method << " stopped after " << stop;
      ASSERT_EQ(micro::metrics(dir), micro::metrics(through));
      fs::remove_all(dir);
    }
  }
}

TEST_F(LoraTrainingTest, DropoutIsThereAndCutsDoNotMoveIt) {
  const auto trained = [&](const char* name, double dropout, std::int64_t micro_batch) {
    model::Decoder decoder = adapted("lora", dropout);
    TrainInput input = micro::input(decoder, root_ / name);
    input.options.micro_batch = micro_batch;
    input.options.max_steps = 6;
    return train(input).loss;
  };
  const double whole = trained("whole", 0.4, 3);
  // Sums in another order; another mask anywhere would be seen in the second digit.
  EXPECT_NEAR(trained("parts", 0.4, 1) / whole, 1.0, 1e-5);
  EXPECT_GT(std::abs(trained("none", 0.0, 3) / whole - 1.0), 1e-4);
}

TEST_F(LoraTrainingTest, AFullRunsCheckpointIsSetAside) {
  model::Decoder full = micro::decoder();
  train(micro::input(full, root_));
  model::Decoder decoder = adapted();
  TrainInput input = micro::input(decoder, root_);
  input.key = "key-2";
  const TrainResult result = train(input);
  EXPECT_EQ(result.resumed_from, 0);
  EXPECT_TRUE(fs::exists(root_ / "previous"));
}

}  // namespace
}  // namespace nativo::train
