// Checks sizes, then calls the device's kernel.
#include "ops/adamw.h"

#include "base/error.h"
#include "ops/adamw_cpu.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

void check_noise(const RoundingNoise& noise) {
  NATIVO_CHECK(noise.first >= 0 && noise.first % kMomentBlock == 0,
               "adamw: a part of a tensor begins where a block does");
}

std::int64_t checked_size(const AdamW& options, std::size_t value, std::size_t gradient,
                          std::size_t m, std::size_t v) {
  NATIVO_CHECK(value == gradient && value == m && value == v, "adamw: sizes differ");
  NATIVO_CHECK(options.step >= 1 && options.step <= UINT32_MAX, "adamw: steps count from 1");
  return static_cast<std::int64_t>(value);
}

template <class T, class Moment>
void check_views(const AdamW& options, tensor::View<T> value, tensor::View<const T> gradient,
                 tensor::View<Moment> m, tensor::View<Moment> v) {
  checked_size(options, value.span().size(), gradient.span().size(), m.span().size(),
               v.span().size());
}

template <class T>
void check_int8(const AdamW& options, tensor::View<T> value, tensor::View<const T> gradient,
                const Int8MomentViews& moments) {
  checked_size(options, value.span().size(), gradient.span().size(), moments.m.span().size(),
               moments.v.span().size());
  const std::int64_t blocks = moment_blocks(value.elements());
  NATIVO_CHECK(moments.m_scale.elements() == blocks && moments.v_scale.elements() == blocks,
               "adamw: a scale a block");
}

std::span<std::uint16_t> bits_of(tensor::View<tensor::bf16> view) {
  return {&view.data()->bits, static_cast<std::size_t>(view.elements())};
}

}  // namespace

void adamw(const AdamW& options, std::span<float> value, std::span<const float> gradient,
           std::span<float> m, std::span<float> v) {
  const std::int64_t count =
      checked_size(options, value.size(), gradient.size(), m.size(), v.size());
  cpu::adamw(options, count, value.data(), gradient.data(), m.data(), v.data());
}

void adamw(const AdamW& options, const RoundingNoise& noise, std::span<float> value,
           std::span<const float> gradient, std::span<std::uint16_t> m,
           std::span<std::uint16_t> v) {
  const std::int64_t count =
      checked_size(options, value.size(), gradient.size(), m.size(), v.size());
  check_noise(noise);
  cpu::adamw_bf16(options, noise, count, value.data(), gradient.data(), m.data(), v.data());
}

void adamw(const AdamW& options, const RoundingNoise& noise, std::span<float> value,
           std::span<const float> gradient, const Int8Moments& moments) {
  const std::int64_t count =
      checked_size(options, value.size(), gradient.size(), moments.m.size(), moments.v.size());
  const auto blocks = static_cast<std::size_t>(moment_blocks(count));
  NATIVO_CHECK(moments.m_scale.size() == blocks && moments.v_scale.size() == blocks,
               "adamw: a scale a block");
  check_noise(noise);
  cpu::adamw_int8(options, noise, count, value.data(), gradient.data(), moments);
}

void adamw(const AdamW& options, tensor::View<float> value, tensor::View<const float> gradient,
           tensor::View<float> m, tensor::View<float> v) {
  check_views(options, value, gradient, m, v);
  if (on_gpu(value, gradient, m, v)) {
    return cuda::Optimizer<float>::adamw(options, {}, value, gradient, m, v);
  }
  adamw(options, value.span(), gradient.span(), m.span(), v.span());
}

void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<float> value,
           tensor::View<const float> gradient, tensor::View<tensor::bf16> m,
           tensor::View<tensor::bf16> v) {
  check_views(options, value, gradient, m, v);
  check_noise(noise);
  if (on_gpu(value, gradient, m, v)) {
    return cuda::Optimizer<float>::adamw(options, noise, value, gradient, m, v);
  }
  adamw(options, noise, value.span(), gradient.span(), bits_of(m), bits_of(v));
}

void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<float> value,
           tensor::View<const float> gradient, const Int8MomentViews& moments) {
  check_int8(options, value, gradient, moments);
  check_noise(noise);
  if (on_gpu(value, gradient, moments.m, moments.m_scale, moments.v, moments.v_scale)) {
    return cuda::Optimizer<float>::adamw(options, noise, value, gradient, moments);
  }
  adamw(options, noise, value.span(), gradient.span(),
        {moments.m.span(), moments.m_scale.span(), moments.v.span(), moments.v_scale.span()});
}

void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, tensor::View<float> m,
           tensor::View<float> v) {
  check_views(options, value, gradient, m, v);
  check_noise(noise);
  require_gpu(value, gradient, m, v);
  cuda::Optimizer<tensor::bf16>::adamw(options, noise, value, gradient, m, v);
}

void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, tensor::View<tensor::bf16> m,
           tensor::View<tensor::bf16> v) {
  check_views(options, value, gradient, m, v);
  check_noise(noise);
  require_gpu(value, gradient, m, v);
  cuda::Optimizer<tensor::bf16>::adamw(options, noise, value, gradient, m, v);
}

void adamw(const AdamW& options, const RoundingNoise& noise, tensor::View<tensor::bf16> value,
           tensor::View<const tensor::bf16> gradient, const Int8MomentViews& moments) {
  check_int8(options, value, gradient, moments);
  check_noise(noise);
  require_gpu(value, gradient, moments.m, moments.m_scale, moments.v, moments.v_scale);
  cuda::Optimizer<tensor::bf16>::adamw(options, noise, value, gradient, moments);
}

}  // namespace nativo::ops
