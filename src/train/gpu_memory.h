// How much of a GPU a training run takes, before anything is allocated; of several ranks, each with
// a GPU, the one that takes most.
// Not here: runs on the CPU (training_memory.h), what fits (memory_choice.h). Rule: what the run
// reserves is computed by the code that reserves it; of several ranks to a piece of the norm (64
// KiB in f32) a layer, as the ranks' shares differ. What NCCL and the driver take for themselves is
// not in it.
#pragma once

#include <cstddef>

#include "model/decoder.h"
#include "model/decoder_config.h"
#include "train/options.h"
#include "train/training_memory.h"

namespace nativo::train {

/// Bytes that a training on a GPU takes there; the program and its data are on the host.
struct GpuMemory {
  model::DecoderMemory decoder;
  std::size_t passing = 0;  ///< gradients on their way between ranks: GradientSums::bytes()
  std::size_t optimizer_state = 0;
  std::size_t pinned = 0;    ///< on the host: what train.offload keeps there
  std::size_t snapshot = 0;  ///< on the host: what checkpoints are written from, weights in f32

  /// On the GPU.
  [[nodiscard]] std::size_t total() const { return decoder.total() + passing + optimizer_state; }
  /// Beside it, of a process; its data come on top.
  [[nodiscard]] std::size_t host() const {
    return kProgramBytes + kBufferBytes + pinned + snapshot;
  }
};

/// Of one of `ranks`. Throws as training_memory() and numbers_of().
[[nodiscard]] GpuMemory gpu_memory(const model::DecoderConfig& config, const TrainOptions& options,
                                   const LoraTableOptions& lora, const RankCount& ranks = {});

}  // namespace nativo::train
