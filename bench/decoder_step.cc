// How fast a training step of the tiny preset is: seconds, tokens/s, GFLOP/s, and decoding speed.
// Usage: decoder_step [rows] [length] [steps] [threads]. Not a test: it checks nothing.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/clock.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "model/decode_session.h"
#include "model/decoder.h"
#include "ops/adamw.h"
#include "ops/gemm.h"
#include "tensor/view.h"

namespace {

using nativo::model::Batch;

Batch random_batch(std::int64_t rows, std::int64_t length, std::int64_t vocab_size) {
  nativo::Rng rng(7);
  Batch batch;
  batch.rows = rows;
  batch.length = length;
  for (std::int64_t i = 0; i < rows * length; ++i) {
    const auto bound = static_cast<std::uint64_t>(vocab_size);
    batch.tokens.push_back(static_cast<std::int32_t>(rng.below(bound)));
    batch.targets.push_back(static_cast<std::int32_t>(rng.below(bound)));
    batch.positions.push_back(static_cast<std::int32_t>(i % length));
    batch.documents.push_back(0);
  }
  return batch;
}

/// Products and attention, forward and backward (a multiply-add counts as two); nothing recomputed.
double step_flops(const nativo::model::DecoderConfig& config, std::int64_t rows,
                  std::int64_t length) {
  const auto tokens = static_cast<double>(rows * length);
  const double weights =
      static_cast<double>(config.parameter_count() - config.vocab_size * config.hidden_size);
  double keys = 0.0;
  const std::int64_t window = config.sliding_window.value_or(length);
  for (std::int64_t t = 0; t < length; ++t) keys += static_cast<double>(std::min(t + 1, window));
  const double attention =
      12.0 * keys * static_cast<double>(rows * config.layers * config.heads * config.head_dim);
  return 6.0 * weights * tokens + attention;
}

/// The best of some repeats, each figure by itself: on a busy machine the CPU time is the honest
/// one.
struct Seconds {
  double wall;
  double cpu;
};

template <class Body>
Seconds best_seconds(int repeats, const Body& body) {
  Seconds best{1e9, 1e9};
  for (int i = 0; i < repeats; ++i) {
    const double start = nativo::monotonic_seconds();
    const double cpu = nativo::cpu_seconds();
    body();
    best.wall = std::min(best.wall, nativo::monotonic_seconds() - start);
    best.cpu = std::min(best.cpu, nativo::cpu_seconds() - cpu);
  }
  return best;
}

/// The rate of a large square product: what this machine gives at best, whatever its data sheet
/// says.
double product_gflops() {
  constexpr std::int64_t kSize = 1536;
  std::vector<float> a(kSize * kSize, 0.5F);
  std::vector<float> c(a.size());
  const nativo::tensor::View<const float> in(a.data(), {kSize, kSize});
  const Seconds best = best_seconds(5, [&] {
    nativo::ops::linear_forward(in, in, nativo::tensor::View<float>(c.data(), {kSize, kSize}));
  });
  return 2.0 * kSize * kSize * kSize / best.wall / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, std::int64_t otherwise) {
    return argc > index ? std::strtoll(argv[index], nullptr, 10) : otherwise;
  };
  const std::int64_t rows = argument(1, 4);
  const std::int64_t length = argument(2, 512);
  const auto steps = static_cast<int>(argument(3, 10));
  nativo::set_thread_count(static_cast<int>(argument(4, 0)));
  const auto config = nativo::model::preset("tiny", 4096);
  nativo::model::Decoder decoder(config);
  decoder.initialize(1);
  decoder.enable_gradients();
  const Batch batch = random_batch(rows, length, config.vocab_size);
  const double flops = step_flops(config, rows, length);
  const auto tokens = static_cast<double>(rows * length);
  static_cast<void>(decoder.forward_backward(batch, {.scale = 1.0F}));

  const double peak = product_gflops();
  fmt::print("best product here: {:.1f} GFLOP/s\n", peak);
  const auto show = [&](const char* name, const Seconds& best, double work) {
    const double seconds = best.wall;
    fmt::print("{:18} {:8.1f} ms ({:.1f} CPU) {:9.0f} tokens/s {:7.1f} GFLOP/s", name,
               1e3 * seconds, 1e3 * best.cpu, tokens / seconds, work / seconds / 1e9);
    fmt::print(" {:5.1f} % of the best product", work / seconds / 1e7 / peak);
    fmt::print("\n");
  };
  fmt::print("tiny, {} parameters, {} x {}, {} threads\n", config.parameter_count(), rows, length,
             nativo::thread_count());
  show("forward", best_seconds(steps, [&] { static_cast<void>(decoder.forward(batch)); }),
       flops / 3.0);
  show("forward+backward",
       best_seconds(
           steps,
           [&] { static_cast<void>(decoder.forward_backward(batch, {.scale = 1.0F / 2048.0F})); }),
       flops);
  std::vector<std::vector<float>> first;
  std::vector<std::vector<float>> second;
  for (const auto& parameter : decoder.parameters()) {
    first.emplace_back(parameter.value.size());
    second.emplace_back(parameter.value.size());
  }
  nativo::ops::AdamW options;
  const Seconds update = best_seconds(steps, [&] {
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto& parameter = decoder.parameters()[i];
      nativo::ops::adamw(options, parameter.value, parameter.gradient, first[i], second[i]);
    }
  });
  fmt::print("{:18} {:8.1f} ms\n", "adamw", 1e3 * update.wall);

  nativo::model::DecodeSession session(decoder, 1024);
  const std::vector<std::int32_t> prompt(512, 5);
  const Seconds prefill = best_seconds(3, [&] {
    session.truncate(0);
    static_cast<void>(session.append(prompt));
  });
  const Seconds decode = best_seconds(3, [&] {
    session.truncate(512);
    for (int i = 0; i < 128; ++i) static_cast<void>(session.append(std::vector<std::int32_t>{7}));
  });
  fmt::print("prefill {:.0f} tokens/s, decoding {:.0f} tokens/s\n", 512.0 / prefill.wall,
             128.0 / decode.wall);
  return 0;
}
