// Adam with decoupled weight decay. Source: Loshchilov & Hutter, arXiv:1711.05101, algorithm 2
// (with PyTorch's convention that the decay is lr * weight_decay). Not here: schedules, clipping's
// norm. Rule: one pass over each tensor, arithmetic in f32 whatever the moments are stored in.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/bf16.h"
#include "tensor/view.h"

namespace nativo::ops {

struct AdamW {
  std::int64_t step = 1;  ///< 1 at the first update
  float lr = 1e-3F;
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float eps = 1e-8F;
  float weight_decay = 0.0F;
  float gradient_scale = 1.0F;  ///< multiplies the gradient: 1/targets, clipping
};

/// With g = gradient_scale * gradient: m = beta1 m + (1-beta1) g; v = beta2 v + (1-beta2) g^2;
/// value -= lr * (m / (1-beta1^step) / (sqrt(v / (1-beta2^step)) + eps) + weight_decay * value).
/// All spans have one size. Moments smaller than 1e-30 (m) and 1e-37 (v) become 0: rows of rare
/// tokens would otherwise decay into subnormal numbers, which are a hundred times slower.
void adamw(const AdamW& options, std::span<float> value, std::span<const float> gradient,
           std::span<float> m, std::span<float> v);

/// Names the random numbers that round a tensor's moments. Element i at step s takes 32 bits:
/// word (i % 64) / 16 of philox (base/rng.h) with the counter {i / 64 * 16 + i % 16, 'adam', s,
/// tensor} and the key `seed`; the lower half rounds m, the upper half v. So the rounding depends
/// neither on threads nor on the width of vectors.
struct RoundingNoise {
  std::uint64_t seed = 0;
  std::uint32_t tensor = 0;  ///< differs between tensors of a model
  /// Element i of the spans is element first + i of the tensor; a multiple of kMomentBlock.
  std::int64_t first = 0;
};

/// As above with the moments in bf16. The value is updated from the moments in f32; they are then
/// rounded stochastically: up with the probability of the part that is cut off, so that many small
/// changes add up where rounding to nearest would lose each of them.
void adamw(const AdamW& options, const RoundingNoise& noise, std::span<float> value,
           std::span<const float> gradient, std::span<std::uint16_t> m, std::span<std::uint16_t> v);

/// Elements that share a scale in 8-bit moments; a tensor's last block may be shorter.
inline constexpr std::int64_t kMomentBlock = 128;

/// Blocks, and so scales, of a tensor of `elements`.
[[nodiscard]] constexpr std::int64_t moment_blocks(std::int64_t elements) {
  return (elements + kMomentBlock - 1) / kMomentBlock;
}

/// Moments in 8 bits a number, after Dettmers et al., "8-bit Optimizers via Block-wise
/// Quantization", arXiv:2110.02861: each block is scaled by its largest magnitude, and the code is
/// not linear, because what matters is a number's relative error. Where they use a table, the code
/// here is a root of the number, which needs no table to vectorise:
///   m = m_scale * sign(c) (c/127)^2, c in -127..127
///   v = v_scale * (c/255)^4,         c in 0..255, 0 only for v = 0
/// Near the largest number codes are 1.6 % apart; the smallest v beside it is 2.4e-10 of it.
/// Rounded stochastically between neighbouring codes without bias, except that a v > 0 never
/// becomes 0.
struct Int8Moments {
  std::span<std::int8_t> m;
  std::span<float> m_scale;  ///< moment_blocks(size)
  std::span<std::uint8_t> v;
  std::span<float> v_scale;  ///< moment_blocks(size)
};

/// As above with 8-bit moments: 2.0625 bytes an element.
void adamw(const AdamW& options, const RoundingNoise& noise, std::span<float> value,
           std::span<const float> gradient, const Int8Moments& moments);

/// The same as views, for tensors on any device.
struct Int8MomentViews {
  tensor::View<std::int8_t> m;
  tensor::View<float> m_scale;
  tensor::View<std::uint8_t> v;
  tensor::View<float> v_scale;
};

/// The three above on any device. A GPU's results are the CPU's to the bit where the CPU has fused
/// multiply-add.
void adamw(const AdamW& options, tensor::View<float> value, tensor::View<const float> gradient,
           tensor::View<float> m, tensor::View<float> v);
void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<float> value,
           tensor::View<const float> gradient, tensor::View<tensor::bf16> m,
           tensor::View<tensor::bf16> v);
void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<float> value,
           tensor::View<const float> gradient, const Int8MomentViews& moments);

/// On a GPU alone: values and gradients in bf16 as well. The new value is rounded stochastically,
/// with 16 bits that are mixed from the element's word (ops/adamw_math.h, value_noise).
void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, tensor::View<float> m, tensor::View<float> v);
void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, tensor::View<tensor::bf16> m,
           tensor::View<tensor::bf16> v);
void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, const Int8MomentViews& moments);

}  // namespace nativo::ops
