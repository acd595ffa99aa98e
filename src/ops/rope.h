// Rotary position embedding in Hugging Face's "rotate half" layout: element i of a head turns with
// element i + D/2. Source: Su et al., arXiv:2104.09864; transformers' modeling_mistral.py.
// Rule: in place; the gradient is the rotation backwards.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

enum class Rotation { kForward, kBackward };

/// cosine[P,D/2] and sine[P,D/2] of position * frequencies[i], times `magnitude`. The angle is
/// rounded to f32 as transformers does, so that the same weights give the same logits far from the
/// start, too.
void rope_table(std::span<const float> frequencies, double magnitude, tensor::View<float> cosine,
                tensor::View<float> sine);

/// Rotates the first `heads` heads of each row of x[N,W], W >= heads * D; positions[N] in [0, P).
void rope(tensor::View<float> x, std::int64_t heads, std::span<const std::int32_t> positions,
          tensor::View<const float> cosine, tensor::View<const float> sine, Rotation rotation);

/// On a GPU alone; the tables stay f32.
void rope(tensor::View<tensor::bf16> x, std::int64_t heads, std::span<const std::int32_t> positions,
          tensor::View<const float> cosine, tensor::View<const float> sine, Rotation rotation);

}  // namespace nativo::ops
