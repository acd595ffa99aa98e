// bfloat16 as an element type: 16 bits that are the upper half of an f32. Not here: arithmetic; ops
// compute in f32 and round once. Rule: the same layout on every device.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace nativo::tensor {

struct bf16 {  // NOLINT(readability-identifier-naming): an arithmetic type, like float
  std::uint16_t bits;
  constexpr bool operator==(const bf16&) const = default;
};
static_assert(sizeof(bf16) == 2);

[[nodiscard]] constexpr float to_f32(bf16 value) { return bf16_to_f32(value.bits); }
/// To nearest, ties to even.
[[nodiscard]] constexpr bf16 to_bf16(float value) { return {f32_to_bf16(value)}; }

}  // namespace nativo::tensor
