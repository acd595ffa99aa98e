// Trainings to measure: a model, and rows that are full to the last position.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "base/strings.h"
#include "io/file.h"
#include "model/decoder_config.h"
#include "train/example.h"
#include "train/options.h"

namespace nativo::bench {

struct Workload {
  const char* name;
  std::int64_t width;
  std::int64_t layers;
  std::int64_t vocabulary;
  std::int64_t length;
  std::int64_t rows;  ///< of a step, over all ranks
};

inline model::DecoderConfig config_of(const Workload& work) {
  model::DecoderConfig config;
  config.vocab_size = work.vocabulary;
  config.hidden_size = work.width;
  config.intermediate_size = 3 * work.width;
  config.layers = work.layers;
  config.heads = work.width / 64;
  config.kv_heads = config.heads;
  config.head_dim = 64;
  config.max_positions = work.length;
  return config;
}

inline train::TrainOptions options_of(const Workload& work, std::int64_t steps) {
  train::TrainOptions options;
  options.seq_len = work.length;
  options.micro_batch = 2;
  options.batch_tokens = work.rows * work.length;
  options.max_steps = steps;
  options.eval_every = 0;
  options.checkpoint_every = 0;
  options.recompute = "nothing";
  return options;
}

inline std::vector<train::Example> examples_of(const Workload& work) {
  Rng rng(7);
  std::vector<train::Example> examples;
  for (std::int64_t i = 0; i < work.rows * 4; ++i) {
    train::Example example;
    for (std::int64_t t = 0; t <= work.length; ++t) {
      example.tokens.push_back(
          static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(work.vocabulary))));
      example.loss_mask.push_back(1);
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Lines of a file of the run in `dir`.
inline std::vector<Json> lines_of(const std::filesystem::path& file) {
  std::vector<Json> lines;
  const std::string text = io::read_file(file);
  for (const std::string_view line : split(trim(text), '\n')) {
    if (!line.empty()) lines.push_back(parse_json(std::string(line), file.native()));
  }
  return lines;
}

/// Seconds of the steps of the run in `dir`, by its metrics, but for the first two.
inline std::vector<double> step_seconds(const std::filesystem::path& dir, const Workload& work) {
  std::vector<double> seconds;
  const auto tokens = static_cast<double>(work.rows * work.length);
  for (const Json& line : lines_of(dir / "metrics.jsonl")) {
    if (line.at("step").get<int>() <= 2) continue;
    seconds.push_back(tokens / line.at("tokens_per_second").get<double>());
  }
  return seconds;
}

}  // namespace nativo::bench
