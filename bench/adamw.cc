// How fast the AdamW update is with moments in f32, bf16 and int8: ns and bytes moved an element.
// Usage: adamw [elements] [repeats] [threads]. Not a test: it checks nothing.
#include "ops/adamw.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/clock.h"
#include "base/parallel.h"

namespace {

/// The best of some repeats, in seconds of wall time.
template <class Body>
double best_seconds(int repeats, const Body& body) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const double start = nativo::monotonic_seconds();
    body();
    best = std::min(best, nativo::monotonic_seconds() - start);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, std::int64_t otherwise) {
    return argc > index ? std::strtoll(argv[index], nullptr, 10) : otherwise;
  };
  const std::int64_t elements = argument(1, 1 << 24);
  const auto repeats = static_cast<int>(argument(2, 20));
  nativo::set_thread_count(static_cast<int>(argument(3, 0)));
  const auto count = static_cast<std::size_t>(elements);
  const auto blocks = static_cast<std::size_t>(nativo::ops::moment_blocks(elements));
  std::vector<float> value(count, 1.0F);
  std::vector<float> gradient(count);
  for (std::size_t i = 0; i < count; ++i) {
    gradient[i] = static_cast<float>(i * 2654435761U % 1000) * 1e-3F - 0.5F;
  }
  nativo::ops::AdamW options;
  const nativo::ops::RoundingNoise noise{.seed = 1, .tensor = 2};
  fmt::print("{} elements, {} threads\n", elements, nativo::thread_count());
  const auto show = [&](const char* name, double moment_bytes, double seconds) {
    // The value is read and written, the gradient read, the moments read and written.
    const double bytes = 12.0 + 2.0 * moment_bytes;
    const auto all = static_cast<double>(elements);
    fmt::print("{:5} {:7.3f} ns an element, {:5.1f} bytes moved an element, {:6.2f} GB/s\n", name,
               1e9 * seconds / all, bytes, bytes * all / seconds / 1e9);
  };
  {
    std::vector<float> m(count);
    std::vector<float> v(count);
    show("f32", 8.0, best_seconds(repeats, [&] {
           nativo::ops::adamw(options, value, gradient, m, v);
           ++options.step;
         }));
  }
  {
    std::vector<std::uint16_t> m(count);
    std::vector<std::uint16_t> v(count);
    show("bf16", 4.0, best_seconds(repeats, [&] {
           nativo::ops::adamw(options, noise, value, gradient, m, v);
           ++options.step;
         }));
  }
  std::vector<std::int8_t> m(count);
  std::vector<float> m_scale(blocks);
  std::vector<std::uint8_t> v(count);
  std::vector<float> v_scale(blocks);
  show("int8", 2.0 + 8.0 / nativo::ops::kMomentBlock, best_seconds(repeats, [&] {
         nativo::ops::adamw(options, noise, value, gradient,
                            nativo::ops::Int8Moments{m, m_scale, v, v_scale});
         ++options.step;
       }));
  return 0;
}
