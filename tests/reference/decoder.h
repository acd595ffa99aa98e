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

/// Key i is visible to query t iff both lie in one document of one row, i <= t and, in a layer with
/// a window, t - i < window.
inline std::vector<std::int32_t> first_visible(const model::DecoderConfig& config,
                                               const model::Batch& batch, std::int64_t layer) {
  std::vector<std::int32_t> first(batch.tokens.size());
  for (std::int64_t index = 0; index < batch.rows * batch.length; ++index) {
    const std::int64_t row = index / batch.length * batch.length;
    const auto document = batch.documents[static_cast<std::size_t>(index)];
    std::int64_t key = index;
    while (key > row && batch.documents[static_cast<std::size_t>(key - 1)] == document &&
           (!config.has_window(layer) || index - (key - 1) < *config.sliding_window)) {
      --key;
    }
    first[static_cast<std::size_t>(index)] =
        static_cast<std::int32_t>(document < 0 ? index - row + 1 : key - row);
  }
  return first;
}

/// y[N,C] += bias[C].
inline void add_bias(Numbers& y, const Numbers& bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
}

/// Norms of heads [first, first + count) of each row of x, in place.
inline void norm_heads(Numbers& x, const AttentionSizes& sizes, std::size_t first,
                       std::size_t count, const Numbers& weight, double eps) {
  for (std::size_t row = 0; row < x.size(); row += sizes.width()) {
    const auto begin = x.begin() + static_cast<std::ptrdiff_t>(row + first * sizes.dim);
    const Numbers part(begin, begin + static_cast<std::ptrdiff_t>(count * sizes.dim));
    std::ranges::copy(rmsnorm(part, weight, eps), begin);
  }
}

/// logits [B*T,V], without rope scaling, for parameters in the order of Decoder::parameters(), all
/// in one vector.
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
  const Numbers embedding = take(size(config.vocab_size) * width);
  Numbers x(tokens * width);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = embedding[static_cast<std::size_t>(batch.tokens[i / width]) * width + i % width];
  }
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    Numbers h = rmsnorm(x, take(width), config.rms_norm_eps);
    Numbers qkv = linear(h, take(sizes.width() * width), tokens, sizes.width(), width);
    if (config.has_qkv_bias()) add_bias(qkv, take(sizes.width()));
    if (config.has_qk_norm()) {
      norm_heads(qkv, sizes, 0, sizes.heads, take(sizes.dim), config.rms_norm_eps);
      norm_heads(qkv, sizes, sizes.heads, sizes.kv_heads, take(sizes.dim), config.rms_norm_eps);
    }
    rope(qkv, sizes.width(), sizes.heads + sizes.kv_heads, sizes.dim, batch.positions,
         config.rope_theta, 1.0);
    Numbers mixed = linear(attention(sizes, qkv, first_visible(config, batch, layer)),
                           take(width * q_width), tokens, width, q_width);
    if (config.attention_bias) add_bias(mixed, take(width));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += mixed[i];
    h = rmsnorm(x, take(width), config.rms_norm_eps);
    Numbers gate_up = linear(h, take(2 * mlp * width), tokens, 2 * mlp, width);
    if (config.mlp_bias) add_bias(gate_up, take(2 * mlp));
    Numbers delta = linear(swiglu(gate_up, mlp), take(width * mlp), tokens, width, mlp);
    if (config.mlp_bias) add_bias(delta, take(width));
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
