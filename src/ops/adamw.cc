// Checks sizes, then calls the CPU kernel.
#include "ops/adamw.h"

#include "base/error.h"
#include "ops/adamw_cpu.h"

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

}  // namespace nativo::ops
