// The whole decoder's loss in f64, written for reading. The law for model/decoder.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/decoder.h"
#include "reference/attention.h"
#include "reference/cross_entropy.h"
#include "reference/linear.h"
#include "reference/rmsnorm.h"
#include "reference/rope.h"
#include "reference/swiglu.h"

namespace nativo::reference {

/// Key i is visible to query t iff both lie in one document of one row, i <= t and t - i < window.
inline std::vector<std::int32_t> first_visible(const model::DecoderConfig& config,
                                               const model::Batch& batch) {
  std::vector<std::int32_t> first(batch.tokens.size());
  for (std::int64_t index = 0; index < batch.rows * batch.length; ++index) {
    const std::int64_t row = index / batch.length * batch.length;
    const auto document = batch.documents[static_cast<std::size_t>(index)];
    std::int64_t key = index;
    while (key > row && batch.documents[static_cast<std::size_t>(key - 1)] == document &&
           (!config.sliding_window || index - (key - 1) < *config.sliding_window)) {
      --key;
    }
    first[static_cast<std::size_t>(index)] =
        static_cast<std::int32_t>(document < 0 ? index - row + 1 : key - row);
  }
  return first;
}

/// logits [B*T,V] for parameters in the order of Decoder::parameters(), all in one vector.
inline Numbers decoder_logits(const model::DecoderConfig& config, const Numbers& parameters,
                              const model::Batch& batch) {
  const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  std::size_t next = 0;
  const auto take = [&](std::size_t count) {
    const auto begin = parameters.begin() + static_cast<std::ptrdiff_t>(next);
    next += count;
    return Numbers(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  const std::size_t tokens = batch.tokens.size();
  const std::size_t width = size(config.hidden_size);
  const std::size_t mlp = size(config.intermediate_size);
  const AttentionSizes sizes{size(batch.rows), size(batch.length), size(config.heads),
                             size(config.kv_heads), size(config.head_dim)};
  const std::size_t q_width = sizes.heads * sizes.dim;
  const std::vector<std::int32_t> first = first_visible(config, batch);
  const Numbers embedding = take(size(config.vocab_size) * width);
  Numbers x(tokens * width);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = embedding[static_cast<std::size_t>(batch.tokens[i / width]) * width + i % width];
  }
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    Numbers h = rmsnorm(x, take(width), config.rms_norm_eps);
    Numbers qkv = linear(h, take(sizes.width() * width), tokens, sizes.width(), width);
    rope(qkv, sizes.width(), sizes.heads + sizes.kv_heads, sizes.dim, batch.positions,
         config.rope_theta, 1.0);
    const Numbers mixed =
        linear(attention(sizes, qkv, first), take(width * q_width), tokens, width, q_width);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += mixed[i];
    h = rmsnorm(x, take(width), config.rms_norm_eps);
    const Numbers act = swiglu(linear(h, take(2 * mlp * width), tokens, 2 * mlp, width), mlp);
    const Numbers delta = linear(act, take(width * mlp), tokens, width, mlp);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += delta[i];
  }
  const Numbers h = rmsnorm(x, take(width), config.rms_norm_eps);
  const Numbers head = config.tie_embeddings ? embedding : take(size(config.vocab_size) * width);
  return linear(h, head, tokens, size(config.vocab_size), width);
}

/// The sum of losses over the targets.
inline double decoder_loss(const model::DecoderConfig& config, const Numbers& parameters,
                           const model::Batch& batch) {
  const Numbers logits = decoder_logits(config, parameters, batch);
  std::vector<std::int32_t> targets = batch.targets;
  for (std::int32_t& target : targets) target = std::max(target, 0);
  const Numbers log_probs = log_prob(logits, targets, static_cast<std::size_t>(config.vocab_size));
  double loss = 0.0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (batch.targets[i] >= 0 && batch.documents[i] >= 0) loss -= log_probs[i];
  }
  return loss;
}

}  // namespace nativo::reference
