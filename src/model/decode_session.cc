// Incremental decoding over a key/value cache. Keys are kept transposed, as attention reads them.
#include "model/decode_session.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/decoder_block.h"
#include "model/decoder_state.h"
#include "ops/attention.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/rmsnorm.h"

namespace nativo::model {
namespace {

/// A long prompt goes through the layers in pieces of this many tokens, which bounds the scratch.
constexpr std::int64_t kPiece = 512;

}  // namespace

struct DecodeSession::State {
  const DecoderCore* decoder = nullptr;
  std::int64_t capacity = 0;
  std::int64_t length = 0;
  tensor::Arena memory;
  std::vector<tensor::View<float>> keys;    ///< by layer [K,D,S], S = key_cache_stride(capacity)
  std::vector<tensor::View<float>> values;  ///< by layer [K,capacity,D]
  tensor::View<float> x, middle, normed, rstd, qkv, attention, gate_up, act;
  tensor::View<float> qk, qk_rstd;  ///< where q and k have norms
  tensor::View<float> logits;       ///< [V]
  LinearContext linear;
  RopeTable rope;

  void store(std::size_t layer, tensor::View<const float> new_qkv);
  void run(std::span<const std::int32_t> tokens);
};

/// Copies the keys and values of tokens length.. into the cache.
void DecodeSession::State::store(std::size_t layer, tensor::View<const float> new_qkv) {
  const DecoderConfig& config = decoder->config;
  const std::int64_t dim = config.head_dim;
  const std::int64_t stride = keys[layer].size(2);
  for (std::int64_t i = 0; i < new_qkv.size(0); ++i) {
    const float* k = new_qkv.data() + i * new_qkv.size(1) + config.heads * dim;
    const float* v = k + config.kv_heads * dim;
    for (std::int64_t head = 0; head < config.kv_heads; ++head) {
      float* key = keys[layer].data() + head * dim * stride + length + i;
      for (std::int64_t d = 0; d < dim; ++d) key[d * stride] = k[head * dim + d];
      std::memcpy(values[layer].data() + (head * capacity + length + i) * dim, v + head * dim,
                  static_cast<std::size_t>(dim) * sizeof(float));
    }
  }
}

/// One piece through all layers; afterwards x holds the last layer's output.
void DecodeSession::State::run(std::span<const std::int32_t> tokens) {
  const DecoderConfig& config = decoder->config;
  const auto count = static_cast<std::int64_t>(tokens.size());
  std::vector<std::int32_t> positions(tokens.size());
  PreparedBatch batch;
  batch.rows = 1;
  batch.length = count;
  batch.first_key.resize(tokens.size());
  if (config.sliding_window) batch.window_key.resize(tokens.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    positions[index] = static_cast<std::int32_t>(length + i);
    if (config.sliding_window) {
      batch.window_key[index] = static_cast<std::int32_t>(
          std::max<std::int64_t>(0, length + i - *config.sliding_window + 1));
    }
  }
  BlockContext context{config, batch, positions, rope, linear, {}};
  const auto part = [count](const tensor::View<float>& view) {
    return view.data() == nullptr ? view : view.rows(0, count);
  };
  LayerActivations layer_memory;  // of every layer
  layer_memory.input = part(x);
  layer_memory.normed1 = layer_memory.normed2 = part(normed);
  layer_memory.rstd1 = layer_memory.rstd2 = part(rstd);
  layer_memory.qk = part(qk);
  layer_memory.qk_rstd = part(qk_rstd);
  layer_memory.qkv = part(qkv);
  layer_memory.attention = part(attention);
  layer_memory.middle = part(middle);
  layer_memory.gate_up = part(gate_up);
  layer_memory.act = part(act);
  ops::embedding_forward(decoder->parameters.embedding, tokens, part(x));
  for (std::size_t layer = 0; layer < keys.size(); ++layer) {
    const LayerWeights& weights = decoder->parameters.layers[layer];
    context.first_key = visible(config, batch, static_cast<std::int64_t>(layer));
    attention_inputs(context, weights, layer_memory);
    store(layer, part(qkv));
    ops::attention_cached(config.heads, part(qkv), keys[layer], values[layer], length,
                          context.first_key, part(attention));
    attention_output(context, weights, layer_memory);
    mlp_forward(context, weights, layer_memory, part(x));
  }
  length += count;
}

DecodeSession::DecodeSession(const Decoder& decoder, std::int64_t capacity)
    : state_(std::make_unique<State>()) {
  const DecoderConfig& config = decoder.config();
  NATIVO_CHECK(capacity > 0 && capacity <= INT32_MAX, "a session holds at least one token");
  NATIVO_CHECK(decoder.ranks().tensor == nullptr, "a session has the whole model");
  NATIVO_CHECK(!decoder.gathers_layers(), "a session has whole layers");
  state_->decoder = decoder.state_.get();
  state_->capacity = capacity;
  state_->rope.grow(config, capacity);
  const std::int64_t rows = std::min(capacity, kPiece);
  const std::int64_t width = config.hidden_size;
  const std::int64_t q_width = config.q_width();
  state_->keys.resize(static_cast<std::size_t>(config.layers));
  state_->values.resize(state_->keys.size());
  tensor::ArenaPlan plan;
  std::vector<std::pair<tensor::View<float>*, tensor::ArenaPlan::Slot>> slots;
  const auto add = [&](const char* purpose, tensor::View<float>& view, const tensor::Shape& shape) {
    slots.emplace_back(&view, plan.add<float>(purpose, shape));
  };
  for (std::size_t layer = 0; layer < state_->keys.size(); ++layer) {
    add("cache", state_->keys[layer],
        {config.kv_heads, config.head_dim, ops::key_cache_stride(capacity)});
    add("cache", state_->values[layer], {config.kv_heads, capacity, config.head_dim});
  }
  add("scratch", state_->x, {rows, width});
  add("scratch", state_->middle, {rows, width});
  add("scratch", state_->normed, {rows, width});
  add("scratch", state_->rstd, {rows});
  add("scratch", state_->qkv, {rows, config.qkv_width()});
  if (config.has_qk_norm()) {
    add("scratch", state_->qk, {rows, q_width + config.kv_width()});
    add("scratch", state_->qk_rstd, {rows, config.heads + config.kv_heads});
  }
  add("scratch", state_->attention, {rows, q_width});
  add("scratch", state_->gate_up, {rows, 2 * config.intermediate_size});
  add("scratch", state_->act, {rows, config.intermediate_size});
  add("scratch", state_->logits, {config.vocab_size});
  const LinearScratch scratch =
      linear_scratch(config, decoder.quantization(), decoder.lora(), rows);
  add("scratch", state_->linear.panel, {scratch.panel});
  add("scratch", state_->linear.hidden, {scratch.hidden});
  state_->memory.reserve(plan, "the key/value cache of a conversation");
  // Attention reads whole vectors of keys, so what is not yet written must be numbers.
  state_->memory.zero();
  for (const auto& [view, slot] : slots) *view = state_->memory.view<float>(slot);
}

DecodeSession::~DecodeSession() = default;
DecodeSession::DecodeSession(DecodeSession&&) noexcept = default;
DecodeSession& DecodeSession::operator=(DecodeSession&&) noexcept = default;

std::span<const float> DecodeSession::append(std::span<const std::int32_t> tokens) {
  State& state = *state_;
  const DecoderConfig& config = state.decoder->config;
  NATIVO_CHECK(!tokens.empty(), "append needs a token");
  NATIVO_CHECK(state.length + static_cast<std::int64_t>(tokens.size()) <= state.capacity,
               "the session is full");
  for (const std::int32_t token : tokens) {
    NATIVO_CHECK(token >= 0 && token < config.vocab_size, "token outside the vocabulary");
  }
  std::int64_t last = 0;
  for (std::size_t begin = 0; begin < tokens.size(); begin += static_cast<std::size_t>(kPiece)) {
    const std::size_t count = std::min(static_cast<std::size_t>(kPiece), tokens.size() - begin);
    state.run(tokens.subspan(begin, count));
    last = static_cast<std::int64_t>(count) - 1;
  }
  const tensor::View<float> normed = state.normed.rows(0, 1);
  ops::rmsnorm_forward(state.x.rows(last, 1), state.decoder->parameters.final_norm,
                       static_cast<float>(config.rms_norm_eps), normed, state.rstd.rows(0, 1));
  ops::linear_forward(normed, state.decoder->parameters.head,
                      tensor::View<float>(state.logits.data(), {1, config.vocab_size}));
  return state.logits.span();
}

void DecodeSession::truncate(std::int64_t length) {
  NATIVO_CHECK(length >= 0 && length <= state_->length, "truncate only shortens");
  state_->length = length;
}

std::int64_t DecodeSession::length() const { return state_->length; }

std::int64_t DecodeSession::capacity() const { return state_->capacity; }

}  // namespace nativo::model
