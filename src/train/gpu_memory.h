// How much of a GPU a training run takes, before anything is allocated; of several ranks, each with
// a GPU, the one that takes most.
// Not here: runs on the CPU (training_memory.h), what fits (memory_choice.h). Rule: what the run
// reserves is computed by the code that reserves it; of several ranks to a piece of the norm (64
// KiB in f32) a layer, as the ranks' shares differ. What NCCL takes is an estimate, and what the
// driver takes for itself is not in it.
#pragma once

#include <cstddef>

#include "model/decoder.h"
#include "model/decoder_config.h"
#include "train/options.h"
#include "train/training_memory.h"

namespace nativo::train {

/// What NCCL takes of a GPU for each group of ranks that it connects: 32 channels, the most that it
/// opens, each to two neighbours (a ring; trees go along it on a node), for either 10 MiB to
/// receive into and 2 MiB to send from, as it allocates them on H100s
/// (github.com/NVIDIA/nccl/issues/1685). An estimate, for it opens fewer channels where links are
/// slower: whole processes, their CUDA context included, were seen to hold 1.06 GB with one group
/// (there) and 1.6 GB (issues/864).
inline constexpr std::size_t kNcclBytes = std::size_t{32 * 2 * (10 + 2)} << 20;

/// Bytes that a training on a GPU takes there; the program and its data are on the host.
struct GpuMemory {
  model::DecoderMemory decoder;
  std::size_t passing = 0;  ///< gradients on their way between ranks: GradientSums::bytes()
  std::size_t optimizer_state = 0;
  std::size_t nccl = 0;      ///< of several ranks: kNcclBytes for each of the grid's directions
  std::size_t pinned = 0;    ///< on the host: what train.offload keeps there
  std::size_t snapshot = 0;  ///< on the host: what checkpoints are written from, weights in f32
  /// On the host, of several ranks: with dist.neighbour_every a rank's state as it comes from the
  /// GPU, and the copies of it and of a neighbour's.
  std::size_t neighbour = 0;

  /// On the GPU: what this program reserves, and that with NCCL's.
  [[nodiscard]] std::size_t reserved() const { return decoder.total() + passing + optimizer_state; }
  [[nodiscard]] std::size_t total() const { return reserved() + nccl; }
  /// Beside it, of a process; its data come on top.
  [[nodiscard]] std::size_t host() const {
    return kProgramBytes + kBufferBytes + pinned + snapshot + neighbour;
  }
};

/// Of one of `ranks`. Throws as training_memory() and numbers_of().
[[nodiscard]] GpuMemory gpu_memory(const model::DecoderConfig& config, const TrainOptions& options,
                                   const LoraTableOptions& lora, const RankCount& ranks = {});

}  // namespace nativo::train
