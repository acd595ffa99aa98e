// Whether a training fits where it is to run, and what would make it fit, before anything is
// allocated. Not here: how the bytes are computed (training_memory.h, gpu_memory.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "model/decoder_config.h"
#include "train/options.h"
#include "train/training_memory.h"

namespace nativo::train {

/// What a rank takes of the memory that it trains in: a process's peak, or of a GPU's.
[[nodiscard]] std::size_t rank_bytes(const model::DecoderConfig& config,
                                     const TrainOptions& options, const LoraTableOptions& lora,
                                     const RankCount& ranks);

/// What one rank may take.
struct AvailableMemory {
  std::size_t bytes = 0;        ///< where it trains: of a process that holds nothing, or a GPU
  std::size_t host = SIZE_MAX;  ///< beside a GPU
};

/// A way to train in less memory.
struct MemoryChoice {
  std::string settings;  ///< what differs from the options given: "train.recompute=block ..."
  std::size_t peak = 0;  ///< rank_bytes()
  bool fits = false;
};

/// Settings that bring a rank's need down to what is available: what changes no bit of the result
/// before the optimizer's state, that before LoRA, LoRA before a quantised base; none that is not
/// needed. When nothing fits, those that lack least.
[[nodiscard]] MemoryChoice fitting_choice(const model::DecoderConfig& config,
                                          const TrainOptions& options, const LoraTableOptions& lora,
                                          AvailableMemory available, const RankCount& ranks = {});

/// Throws Error(kTryAgain) when a rank needs more than is available; the hint is fitting_choice().
void require_memory(const model::DecoderConfig& config, const TrainOptions& options,
                    const LoraTableOptions& lora, AvailableMemory available,
                    const RankCount& ranks = {});

}  // namespace nativo::train
