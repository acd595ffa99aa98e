#include "train/flops.h"

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "ops/gemm.h"

namespace nativo::train {
namespace {

/// Keys that the positions of a document of `length` see, all together: 1 + 2 + ..., each at most
/// `window`.
double keys_seen(std::int64_t length, std::int64_t window) {
  const auto rising = static_cast<double>(std::min(length, window));
  const auto level = static_cast<double>(std::max<std::int64_t>(length - window, 0));
  return rising * (rising + 1.0) / 2.0 + level * rising;
}

}  // namespace

double keys_seen(const model::DecoderConfig& config, std::int64_t length) {
  double keys = 0.0;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    keys += keys_seen(length, config.has_window(layer) ? *config.sliding_window : length);
  }
  return keys;
}

double step_flops(const model::DecoderConfig& config, double adapters, const StepWork& work) {
  const auto block = static_cast<double>(config.hidden_size * config.qkv_width() +
                                         config.q_width() * config.hidden_size +
                                         3 * config.hidden_size * config.intermediate_size);
  const double matrices = static_cast<double>(config.layers) * block * work.positions;
  const double head = static_cast<double>(config.vocab_size * config.hidden_size) * work.targets;
  const double attention = 12.0 * static_cast<double>(config.q_width()) * work.keys;
  if (adapters == 0.0) return 6.0 * matrices + 6.0 * head + attention;
  return 4.0 * matrices + 6.0 * adapters * work.positions + 4.0 * head + attention;
}

double step_flops(const model::Decoder& decoder, std::span<const Row* const> rows,
                  std::int64_t targets) {
  StepWork work{.targets = static_cast<double>(targets)};
  for (const Row* row : rows) {
    work.positions += static_cast<double>(row->used);
    for (const Piece& piece : row->pieces) {
      work.keys += keys_seen(decoder.config(), piece.length);
    }
  }
  double adapters = 0.0;
  if (decoder.lora() != nullptr) {
    adapters = static_cast<double>(model::lora_parameter_count(*decoder.lora(), decoder.config()));
  }
  return step_flops(decoder.config(), adapters, work);
}

double measure_gemm_rate() {
  constexpr std::int64_t kRows = 512;
  constexpr std::int64_t kWidth = 1024;
  constexpr int kTries = 5;
  const std::vector<float> x(kRows * kWidth, 0.5F);
  const std::vector<float> weight(kWidth * kWidth, 0.25F);
  std::vector<float> y(kRows * kWidth);
  double best = 0.0;
  for (int i = 0; i <= kTries; ++i) {  // the first one loads code and wakes threads
    const double start = monotonic_seconds();
    ops::linear_forward({x.data(), {kRows, kWidth}}, {weight.data(), {kWidth, kWidth}},
                        {y.data(), {kRows, kWidth}});
    const double seconds = monotonic_seconds() - start;
    best = std::max(best, 2.0 * kRows * kWidth * kWidth / std::max(seconds, 1e-9));
  }
  return best;
}

}  // namespace nativo::train
