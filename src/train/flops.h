// What a training step computes, and how fast this machine could: for the share of it that is used.
#pragma once

#include <cstdint>
#include <span>

#include "model/decoder.h"
#include "train/packer.h"

namespace nativo::train {

/// Floating-point operations of the GEMMs and the attention of one training step, forward and
/// backward, padding and recomputation not counted:
///   6 M n + 6 V C t + 12 H D k
/// with M the elements of the blocks' matrices, n positions, t targets, k keys seen, summed over
/// positions and layers. Of a frozen base with adapters of A elements, whose weights get no
/// gradient: 4 M n + 6 A n + 4 V C t + 12 H D k.
[[nodiscard]] double step_flops(const model::Decoder& decoder, std::span<const Row* const> rows,
                                std::int64_t targets);

/// Positions, targets and keys of some rows; keys are summed over positions and layers.
struct StepWork {
  double positions = 0.0;
  double targets = 0.0;
  double keys = 0.0;
};

/// step_flops() of so much work; `adapters` = elements of adapters over a frozen base, 0 = none.
[[nodiscard]] double step_flops(const model::DecoderConfig& config, double adapters,
                                const StepWork& work);

/// Keys that the positions of one document of `length` see in all layers.
[[nodiscard]] double keys_seen(const model::DecoderConfig& config, std::int64_t length);

/// Operations a second of a large f32 GEMM on all threads, the best of a few; takes about 50 ms.
[[nodiscard]] double measure_gemm_rate();

}  // namespace nativo::train
