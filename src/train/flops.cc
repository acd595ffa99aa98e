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

double step_flops(const model::Decoder& decoder, std::span<const Row* const> rows,
                  std::int64_t targets) {
  const model::DecoderConfig& config = decoder.config();
  std::int64_t windowed = 0;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) windowed += config.has_window(layer);
  double positions = 0.0;
  double keys = 0.0;
  for (const Row* row : rows) {
    positions += static_cast<double>(row->used);
    for (const Piece& piece : row->pieces) {
      keys += static_cast<double>(config.layers - windowed) * keys_seen(piece.length, piece.length);
      keys += static_cast<double>(windowed) *
              keys_seen(piece.length, config.sliding_window.value_or(piece.length));
    }
  }
  const auto block = static_cast<double>(config.hidden_size * config.qkv_width() +
                                         config.q_width() * config.hidden_size +
                                         3 * config.hidden_size * config.intermediate_size);
  const double matrices = static_cast<double>(config.layers) * block;
  const double head =
      static_cast<double>(config.vocab_size * config.hidden_size) * static_cast<double>(targets);
  const double attention = 12.0 * static_cast<double>(config.q_width()) * keys;
  if (decoder.lora() == nullptr) return 6.0 * matrices * positions + 6.0 * head + attention;
  const auto adapters = static_cast<double>(model::lora_parameter_count(*decoder.lora(), config));
  return 4.0 * matrices * positions + 6.0 * adapters * positions + 4.0 * head + attention;
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
