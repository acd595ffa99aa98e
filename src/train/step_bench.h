// A training step of any shape on made-up weights and tokens, measured: how fast, in how much
// memory. Not here: real data (trainer.h). Rule: it is the trainer's own step, its functions
// (step.h): another one would measure something else.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dist/grid.h"
#include "model/decoder.h"
#include "train/options.h"

namespace nativo::train {

struct StepBench {
  model::DecoderConfig config;
  TrainOptions options;  ///< seq_len T; a step is one batch of micro_batch rows, on each rank
  LoraTableOptions lora;
  DistOptions dist = {};
  model::Numbers numbers = {};  ///< what this rank computes on
  dist::Grid* grid = nullptr;   ///< ranks that measure together; null = alone
  std::int64_t steps = 10;      ///< measured, after two that are not
  std::function<bool()> should_stop = {};
};

struct StepFigures {
  std::vector<double> seconds;  ///< of each measured step
  double median = 0.0;          ///< of them
  std::int64_t tokens = 0;      ///< of a step, of all ranks: B*T times the data-parallel ones
  double flops = 0.0;           ///< of a step, as step_flops() counts; recomputation not counted
  std::int64_t ranks = 1;
  double waited = 0.0;  ///< seconds of a step that a rank has stood still for others; their mean
  double loss = 0.0;    ///< of the last step: log V and falling, or something is wrong
  double gradient_norm = 0.0;   ///< of the last step, before clipping
  model::DecoderMemory memory;  ///< reserved
  std::size_t optimizer_state = 0;
  std::size_t host = 0;     ///< pinned beside a GPU
  std::size_t planned = 0;  ///< of both together, before anything was reserved; without NCCL's
  std::size_t taken = 0;    ///< on a GPU: what the driver has given meanwhile; 0 = unknown
  std::string device;       ///< its name
};

/// Collective over the grid's ranks: what is one rank's (memory) is this one's, its `seconds` are
/// from one meeting of all to the next. Throws as Decoder, Optimizer and check_together() do,
/// Error(kData) for a loss or a norm that is not finite (all ranks; the first one's has the text),
/// and Error(kTryAgain) when stopped.
[[nodiscard]] StepFigures measure_steps(const StepBench& bench);

/// Dense bf16 tensor-core rate of a GPU by its name, TFLOP/s, from NVIDIA's data sheets; 0 =
/// unknown.
[[nodiscard]] double dense_bf16_tflops(std::string_view gpu);

}  // namespace nativo::train
