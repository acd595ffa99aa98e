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
/// gradients then share memory with activations. Throws Error(kConfig) for an unknown recompute.
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
};

/// `ranks`, `per_node` of them on a node (0 = all), that train as `dist` says.
[[nodiscard]] inline RankCount rank_count(std::int64_t ranks, std::int64_t per_node,
                                          const DistOptions& dist) {
  return {ranks, dist.zero, dist.tensor, per_node, dist.neighbour_every > 0};
}

/// What the largest of the ranks of a run of `config` with these options holds; its data, 5 bytes a
/// token, come on top. What a node has once is shared out among its ranks. Throws Error(kConfig)
/// for options that are none (method, recompute, optimizer_state, dist.tensor).
[[nodiscard]] TrainingMemory training_memory(const model::DecoderConfig& config,
                                             const TrainOptions& options,
                                             const LoraTableOptions& lora,
                                             const RankCount& ranks = {});

/// A way to train in less memory.
struct MemoryChoice {
  std::string settings;  ///< what differs from the options given: "train.recompute=block ..."
  std::size_t peak = 0;
};

/// Settings that bring the peak down to `available` bytes: what changes no bit of the result before
/// the optimizer's state, that before LoRA, LoRA before a quantised base; none that is not needed.
/// When nothing fits, those that need least.
[[nodiscard]] MemoryChoice fitting_choice(const model::DecoderConfig& config,
                                          const TrainOptions& options, const LoraTableOptions& lora,
                                          std::size_t available, const RankCount& ranks = {});

/// Throws Error(kTryAgain) when a rank's peak is beyond `available` bytes (of a process that holds
/// nothing yet); the hint is fitting_choice().
void require_memory(const model::DecoderConfig& config, const TrainOptions& options,
                    const LoraTableOptions& lora, std::size_t available,
                    const RankCount& ranks = {});

/// Bytes that a training on a GPU takes there; the program and its data are on the host.
struct GpuMemory {
  model::DecoderMemory decoder;
  std::size_t optimizer_state = 0;

  [[nodiscard]] std::size_t total() const { return decoder.total() + optimizer_state; }
};
/// Of one rank alone. Throws as training_memory() and numbers_of().
[[nodiscard]] GpuMemory gpu_memory(const model::DecoderConfig& config, const TrainOptions& options,
                                   const LoraTableOptions& lora);

/// Throws Error(kTryAgain) when that is beyond `available` bytes.
void require_gpu_memory(const model::DecoderConfig& config, const TrainOptions& options,
                        const LoraTableOptions& lora, std::size_t available);

/// The classic rule of full fine-tuning in mixed precision: 24 bytes a parameter, without
/// activations.
[[nodiscard]] constexpr std::size_t classic_rule(std::int64_t parameters) {
  return static_cast<std::size_t>(parameters) * 24;
}

}  // namespace nativo::train
