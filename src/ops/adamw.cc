// Checks sizes, then calls the CPU kernel.
#include "ops/adamw.h"

#include "base/error.h"
#include "ops/adamw_cpu.h"

namespace nativo::ops {

void adamw(const AdamW& options, std::span<float> value, std::span<const float> gradient,
           std::span<float> m, std::span<float> v) {
  NATIVO_CHECK(
      value.size() == gradient.size() && value.size() == m.size() && value.size() == v.size(),
      "adamw: sizes differ");
  NATIVO_CHECK(options.step >= 1, "adamw: steps count from 1");
  cpu::adamw(options, static_cast<std::int64_t>(value.size()), value.data(), gradient.data(),
             m.data(), v.data());
}

}  // namespace nativo::ops
