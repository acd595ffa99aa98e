// A model and data so small that a training step takes about a millisecond.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/scratch.h"
#include "io/faulty_disk.h"
#include "io/file.h"
#include "model/decoder.h"
#include "train/trainer.h"

namespace nativo::train::micro {

inline model::DecoderConfig config() {
  model::DecoderConfig config;
  config.vocab_size = 32;
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 8;
  config.max_positions = 64;
  config.sliding_window = 16;
  return config;
}

inline model::Decoder decoder(std::uint64_t seed = 5) {
  model::Decoder decoder(config());
  decoder.initialize(seed);
  return decoder;
}

// Quantised weights are read, not drawn.
inline void fill(model::Decoder& decoder) {
  if (!decoder.quantization().format) return decoder.initialize(5);
  decoder.load([](const model::Parameter& parameter, std::span<float> values) {
    std::uint64_t seed = 0;
    for (const char letter : parameter.name) {
      seed = seed * 31 + static_cast<std::uint64_t>(letter);
    }
    Rng rng(seed);
    if (!parameter.decays) std::ranges::fill(values, 1.0F);
    if (!parameter.decays) return;
    std::size_t drawn = 0;
    model::for_runs(parameter.part, 0, values.size(),
                    [&](std::size_t here, std::size_t there, std::size_t length) {
                      for (; drawn < there; ++drawn) static_cast<void>(rng.normal());
                      for (std::size_t i = 0; i < length; ++i, ++drawn) {
                        values[here + i] = static_cast<float>(0.02 * rng.normal());
                      }
                    });
  });
}

// Counting sequences: after token t comes t + stride (mod 29); the first third is not trained.
inline std::vector<Example> examples(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Example> examples;
  for (std::size_t i = 0; i < count; ++i) {
    Example example;
    example.id = "example-" + std::to_string(seed) + "-" + std::to_string(i);
    const std::size_t length = 4 + rng.below(30);
    const std::uint64_t stride = 1 + rng.below(3);
    std::uint64_t token = rng.below(29);
    for (std::size_t t = 0; t < length; ++t) {
      example.tokens.push_back(static_cast<std::int32_t>(3 + token));
      example.loss_mask.push_back(t > length / 3 ? 1 : 0);
      token = (token + stride) % 29;
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

inline TrainOptions options() {
  TrainOptions options;
  options.epochs = 3;
  options.seq_len = 32;
  options.micro_batch = 2;
  options.batch_tokens = 96;
  options.lr = 1e-2;
  options.warmup_ratio = 0.1;
  options.eval_every = 4;
  options.checkpoint_every = 5;
  return options;
}

inline TrainInput input(model::Decoder& decoder, const std::filesystem::path& dir,
                        io::Disk& disk = io::quick_disk()) {
  return {.decoder = decoder,
          .train = examples(43, 1),
          .heldout = examples(2, 2),  // one batch
          .options = options(),
          .dir = dir,
          .key = "key-1",
          .label = "train",
          .disk = disk,
          .should_stop = {}};
}

// metrics.jsonl without the times, which differ from run to run.
inline std::vector<std::string> metrics(const std::filesystem::path& dir) {
  std::vector<std::string> lines;
  const std::string text = io::read_file(dir / "metrics.jsonl");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    Json line = parse_json(text.substr(at, end - at), "metrics.jsonl");
    for (const char* key : {"time", "seconds", "tokens_per_second", "percent_of_gemm", "memory"}) {
      line.erase(key);
    }
    lines.push_back(dump_json(line));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

// The bytes of weights and moments of a checkpoint.
inline std::string checkpoint_bytes(const std::filesystem::path& dir, std::int64_t step) {
  std::string name = std::to_string(step);
  name = "step-" + std::string(8 - name.size(), '0') + name;
  const std::filesystem::path folder = dir / "checkpoints" / name;
  return io::read_file(folder / "model.safetensors") +
         io::read_file(folder / "optimizer.safetensors");
}

class TrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_thread_count(1);  // threads that wait for each other on a busy machine take seconds a step
    root_ = scratch_path();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::filesystem::path root_;
};

}  // namespace nativo::train::micro
