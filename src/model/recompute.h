// What the backward pass of a layer computes again instead of keeping it (Chen et al.,
// arXiv:1604.06174). Rule: the bits of losses and gradients are the same on every rung.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace nativo::model {

/// Each rung computes again what those before it do, and more. Kept of a layer of N tokens, in
/// floats (a few N beside):
///   nothing       N (4C + (H+2K)D + HD + 3F)
///   activation    without the MLP's activation [N,F]; costs nothing
///   norms         without both norms' outputs [N,C]; costs a pass over the input
///   feed_forward  without gate and up [N,2F]; costs their product
///   attention     without q, k, v and attention's output; costs their product and attention
///   block         the input [N,C] alone; costs the output projection, too
enum class Recompute { kNothing, kActivation, kNorms, kFeedForward, kAttention, kBlock };

inline constexpr std::array<std::string_view, 6> kRecomputeNames = {
    "nothing", "activation", "norms", "feed_forward", "attention", "block"};

[[nodiscard]] constexpr std::string_view recompute_name(Recompute rung) {
  return kRecomputeNames[static_cast<std::size_t>(rung)];
}

/// None for an unknown name.
[[nodiscard]] constexpr std::optional<Recompute> recompute_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kRecomputeNames.size(); ++i) {
    if (kRecomputeNames[i] == name) return static_cast<Recompute>(i);
  }
  return std::nullopt;
}

}  // namespace nativo::model
