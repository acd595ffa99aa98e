// How much memory a training run takes, by purpose and by phase, before anything is allocated.
// Not here: what a decoder's own arenas hold (model/memory_plan.h). Rule: what the run reserves is
// computed by the code that reserves it; only the program itself is a measured constant.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/decoder_config.h"
#include "model/memory_plan.h"
#include "train/options.h"

namespace nativo::train {

/// In the order in which a run goes through them. The last, kSave, is the writing of a checkpoint
/// while training goes on.
enum class Phase { kLoad, kForward, kBackward, kStep, kSave };
inline constexpr std::array<std::string_view, 5> kPhaseNames = {"load", "forward", "backward",
                                                                "step", "save"};

/// Bytes in use for one purpose, at the fullest moment of each phase.
struct MemoryPurpose {
  std::string name;
  std::array<std::size_t, kPhaseNames.size()> bytes{};
};

/// What one process holds.
struct TrainingMemory {
  /// "program", "buffers", "weights", "adapters", "gradients", "optimizer state", "activations",
  /// "logits", "scratch", "idle" (reserved for activations, not in use at that moment), "snapshot"
  /// (of a checkpoint being written), "neighbour" (copies of a rank's state and of one on another
  /// node, in memory files), "exchange" (between ranks), "data"; without those that are 0
  /// throughout.
  std::vector<MemoryPurpose> purposes;

  /// Resident in `phase`: the sum over the purposes.
  [[nodiscard]] std::size_t in(Phase phase) const;
  /// The greatest of them.
  [[nodiscard]] std::size_t peak() const;
};

/// What a run computes at a time: micro_batch rows, or the whole step when it has no more, whose
/// gradients then share memory with activations. Throws Error(kConfig) for an unknown recompute, as
/// offload_of(), and for optimizer_in_backward beside what it excludes.
[[nodiscard]] model::TrainingShape training_shape(const TrainOptions& options);

/// Measured: the program, its libraries and the tokenizer before there is a model.
inline constexpr std::size_t kProgramBytes = std::size_t{16} << 20;
/// Measured: what products pack, what passes on the way to files, stacks of threads.
inline constexpr std::size_t kBufferBytes = std::size_t{20} << 20;

/// How many ranks share a training, and how (DistOptions).
struct RankCount {
  std::int64_t ranks = 1;
  std::int64_t zero = 1;
  std::int64_t tensor = 1;
  std::int64_t per_node = 0;  ///< ranks on a node; 0 = all
  bool neighbour = false;     ///< states are copied into memory: dist.neighbour_every > 0
  std::string gradient_type = "auto";
};

/// `ranks`, `per_node` of them on a node (0 = all), that train as `dist` says.
[[nodiscard]] inline RankCount rank_count(std::int64_t ranks, std::int64_t per_node,
                                          const DistOptions& dist) {
  return {.ranks = ranks,
          .zero = dist.zero,
          .tensor = dist.tensor,
          .per_node = per_node,
          .neighbour = dist.neighbour_every > 0,
          .gradient_type = dist.gradient_type};
}

/// What the largest of the ranks of a run of `config` with these options holds; its data, 5 bytes a
/// token, come on top. What a node has once is shared out among its ranks. Throws Error(kConfig)
/// for options that are none (method, recompute, optimizer_state, dist.tensor).
[[nodiscard]] TrainingMemory training_memory(const model::DecoderConfig& config,
                                             const TrainOptions& options,
                                             const LoraTableOptions& lora,
                                             const RankCount& ranks = {});

/// The classic rule of full fine-tuning in mixed precision: 24 bytes a parameter, without
/// activations.
[[nodiscard]] constexpr std::size_t classic_rule(std::int64_t parameters) {
  return static_cast<std::size_t>(parameters) * 24;
}

}  // namespace nativo::train
