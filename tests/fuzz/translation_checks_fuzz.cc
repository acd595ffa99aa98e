// layers: translate
// Any two texts are measured: every value is a finite number, 0 or more; a text beside itself loses
// no number and no span.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "translate/checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nativo::translate::Check;
  if (size == 0) return 0;
  static const nativo::translate::TranslationChecks checks({}, "en", "it");
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view source = bytes.substr(0, bytes.size() * data[0] / 255);
  for (const auto& m : checks.measure(source, bytes.substr(source.size()))) {
    if (!std::isfinite(m.value) || m.value < 0) std::abort();
  }
  for (const auto& m : checks.measure(source, source)) {
    const bool same = m.check == Check::kNumbersLost || m.check == Check::kSpansDamaged ||
                      m.check == Check::kRepetition || m.check == Check::kEmpty;
    if (same && m.failed()) std::abort();
  }
  return 0;
}
