// Small decoders and batches for the model's tests.
#pragma once

#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "model/decoder.h"
#include "reference/numbers.h"

namespace nativo::model {

/// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// Grouped queries, a window shorter than the rows, sizes that fill no vector evenly.
inline DecoderConfig small_config(bool tied) {
  return {.vocab_size = 23,
          .hidden_size = 12,
          .intermediate_size = 20,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 6,
          .max_positions = 64,
          .sliding_window = 5,
          .rope_theta = 100.0,
          .rms_norm_eps = 1e-5,
          .tie_embeddings = tied};
}

/// The same of every family, with all that the family may have: biases, norms of q and k, a window
/// in the upper layer only.
inline std::vector<DecoderConfig> family_configs() {
  std::vector<DecoderConfig> configs{small_config(false), small_config(true)};
  DecoderConfig llama = small_config(false);
  llama.family = Family::kLlama;
  llama.sliding_window.reset();
  llama.attention_bias = llama.mlp_bias = true;
  configs.push_back(llama);
  DecoderConfig qwen2 = small_config(true);
  qwen2.family = Family::kQwen2;
  qwen2.first_window_layer = 1;
  configs.push_back(qwen2);
  DecoderConfig qwen3 = small_config(false);
  qwen3.family = Family::kQwen3;
  qwen3.head_dim = 4;  // 4 heads of 4 in a width of 12
  qwen3.attention_bias = true;
  qwen3.first_window_layer = 1;
  configs.push_back(qwen3);
  return configs;
}

/// Parameters large enough that attention and gates are far from uniform.
inline void randomize(Decoder& decoder, double deviation = 0.4) {
  std::uint64_t stream = 100;
  for (Parameter& parameter : decoder.parameters()) {
    const auto numbers = reference::normal_numbers(parameter.value.size(), stream++,
                                                   parameter.decays ? deviation : 0.2);
    const double mean = parameter.name.ends_with("norm.weight") ? 1.0 : 0.0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      parameter.value[i] = static_cast<float>(numbers[i] + mean);
    }
  }
}

inline std::vector<double> flat_values(const Decoder& decoder) {
  std::vector<double> flat;
  for (const Parameter& parameter : decoder.parameters()) {
    flat.insert(flat.end(), parameter.value.begin(), parameter.value.end());
  }
  return flat;
}

inline std::vector<float> flat_gradients(const Decoder& decoder) {
  std::vector<float> flat;
  for (const Parameter& parameter : decoder.parameters()) {
    flat.insert(flat.end(), parameter.gradient.begin(), parameter.gradient.end());
  }
  return flat;
}

/// One document a row, every token but the last a target.
inline Batch plain_batch(const DecoderConfig& config, std::int64_t rows, std::int64_t length,
                         std::uint64_t stream) {
  Rng rng(5, stream);
  Batch batch;
  batch.rows = rows;
  batch.length = length;
  for (std::int64_t i = 0; i < rows * length; ++i) {
    const auto bound = static_cast<std::uint64_t>(config.vocab_size);
    batch.tokens.push_back(static_cast<std::int32_t>(rng.below(bound)));
    batch.targets.push_back(static_cast<std::int32_t>(rng.below(bound)));
    batch.positions.push_back(static_cast<std::int32_t>(i % length));
    batch.documents.push_back(0);
  }
  return batch;
}

/// Two rows of 14: documents of 9 + 5 tokens; and of 3 + 8 with 3 of padding. Every third target is
/// masked; padding has targets that must not count.
inline Batch packed_batch(const DecoderConfig& config) {
  Batch batch = plain_batch(config, 2, 14, 1);
  for (std::size_t i = 0; i < 28; ++i) {
    const std::size_t t = i % 14;
    const std::size_t first = i < 14 ? 9 : 3;
    const bool padding = i >= 14 && t >= 11;
    batch.documents[i] = padding ? -1 : (t < first ? 0 : 1);
    batch.positions[i] = padding ? 0 : static_cast<std::int32_t>(t < first ? t : t - first);
    if (i % 3 == 0) batch.targets[i] = -1;
  }
  return batch;
}

}  // namespace nativo::model
