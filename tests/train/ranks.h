// Trainings on several ranks, each a thread, on one node and on several.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "dist/grid.h"
#include "dist/threads.h"
#include "model/lora_config.h"
#include "train/data_parallel.h"
#include "train/micro.h"

namespace nativo::train::micro {

using Nodes = std::vector<int>;

// Two pieces of the norm in the embedding: a border inside a tensor.
inline model::DecoderConfig wide_config() {
  model::DecoderConfig wide = config();
  wide.vocab_size = 2048;
  return wide;
}

struct Outcome {
  TrainResult result;
  std::map<int, std::vector<float>> weights;  // by part of the model
  bool stopped = false;
  std::vector<std::string> messages = {};  // of the ranks that failed
  std::size_t sent = 0;                    // bytes between nodes
};

using Change = std::function<void(TrainInput&)>;

// f32 sums in another order: 1e-7 a step, over seven steps.
inline constexpr double kOrder = 1e-6;
inline constexpr std::int64_t kLastStage = 3;

class RanksTest : public TrainTest {
 protected:
  // Trains on threads, `nodes[r]` the node of rank r, in root_ / name.
  Outcome run(const std::string& name, const Nodes& nodes, const Change& change = {},
              bool lora = false) {
    Outcome outcome;
    std::mutex mutex;
    outcome.sent = dist::threads::run_ranks(nodes, [&](dist::Communicator& ranks) {
      dist::Grid grid(&ranks, dist_.tensor);
      model::Decoder decoder(config_, quantization_, decoder_ranks(grid, dist_.zero));
      fill(decoder);
      if (lora) {
        model::LoraOptions options;
        options.rank = 4;
        options.dropout = 0.1;
        decoder.attach_lora(model::resolve_lora(options, decoder.config()), 3);
      }
      TrainInput input = micro::input(decoder, root_ / name, *disk_);
      input.options.batch_tokens = 8 * input.options.seq_len;
      input.options.max_steps = 7;
      input.options.lr = 1e-3;
      input.options.eps = 1e-5;
      input.options.checkpoint_every = 3;
      input.options.eval_every = 3;
      input.options.background_checkpoints = true;
      input.dist = dist_;
      if (change) change(input);
      if (!ranks.is_root()) input.key.clear();  // in a pipeline, only the first rank knows it
      input.grid = &grid;
      before_training(grid, input);
      try {
        const TrainResult result = train(input);
        const std::lock_guard lock(mutex);
        if (ranks.is_root()) outcome.result = result;
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        outcome.stopped = true;
        outcome.messages.emplace_back(error.what());
      }
      std::vector<float> weights;
      const auto trained = std::as_const(decoder).trainable();
      for (std::size_t p = 0; p < trained.size(); ++p) {
        std::vector<float> values(trained[p].value.begin(), trained[p].value.end());
        if (!lora) decoder.read_merged(p, values);  // of nodes that have parts
        weights.insert(weights.end(), values.begin(), values.end());
      }
      {
        const std::lock_guard lock(mutex);
        std::vector<float>& of_all = outcome.weights[grid.tensor().rank()];
        if (of_all.empty()) of_all = weights;
        EXPECT_TRUE(of_all == weights) << "all ranks end with the same bits";
      }
      after_training(grid, decoder);
    });
    return outcome;
  }

  virtual void before_training(dist::Grid& /*grid*/, TrainInput& /*input*/) {}
  virtual void after_training(dist::Grid& /*grid*/, model::Decoder& /*decoder*/) {}

  std::vector<double> losses(const std::string& name) {
    std::vector<double> losses;
    for (const std::string& line : metrics(root_ / name)) {
      const Json json = parse_json(line, "metrics");
      for (const char* key : {"loss", "eval_loss", "grad_norm"}) {
        if (json.contains(key))
          losses.push_back(json[key].is_null() ? -1.0 : json[key].get<double>());
      }
    }
    return losses;
  }

  void expect_close(const std::string& name, const std::string& reference, double relative) {
    const std::vector<double> mine = losses(name);
    const std::vector<double> theirs = losses(reference);
    ASSERT_EQ(mine.size(), theirs.size());
    ASSERT_GE(mine.size(), 14U);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      EXPECT_NEAR(mine[i], theirs[i], relative * std::abs(theirs[i])) << name << " " << i;
    }
  }

  DistOptions dist_;
  io::Disk* disk_ = &io::quick_disk();
  model::DecoderConfig config_ = wide_config();
  model::Quantization quantization_;
};

}  // namespace nativo::train::micro
