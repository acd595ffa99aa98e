// Incremental decoding over a key/value cache. Keys are kept transposed, as attention reads them.
#include "model/decode_session.h"

#include <algorithm>
#include <functional>
#include <variant>
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
  virtual ~State() = default;
  virtual std::span<const float> append(std::span<const std::int32_t> tokens) = 0;

  DecoderConfig config;
  std::int64_t capacity = 0;
  std::int64_t length = 0;
};

namespace {

/// One piece of a sequence, behind what is in the cache, as a batch without targets.
struct Piece {
  Batch batch;
  PreparedBatch prepared;

  Piece(const DecoderConfig& config, std::span<const std::int32_t> tokens, std::int64_t length) {
    batch.rows = 1;
    batch.length = static_cast<std::int64_t>(tokens.size());
    batch.tokens.assign(tokens.begin(), tokens.end());
    for (std::int64_t i = 0; i < batch.length; ++i) {
      batch.positions.push_back(static_cast<std::int32_t>(length + i));
      prepared.first_key.push_back(0);
      if (!config.sliding_window) continue;
      const std::int64_t first = length + i - *config.sliding_window + 1;
      prepared.window_key.push_back(static_cast<std::int32_t>(std::max<std::int64_t>(0, first)));
    }
  }
};

/// T is the type of the decoder's numbers.
template <class T>
class TypedSession : public DecodeSession::State {
 public:
  TypedSession(TypedCore<T>& decoder, std::int64_t tokens) : decoder_(decoder) {
    config = decoder.config;
    capacity = tokens;
    rope_.grow(config, capacity, decoder.numbers.device);
    memory_ = tensor::Arena(decoder.numbers.device);
    reserve();
  }

  std::span<const float> append(std::span<const std::int32_t> tokens) override;

 private:
  void reserve();
  void run(std::span<const std::int32_t> tokens);

  TypedCore<T>& decoder_;
  tensor::Arena memory_;
  std::vector<tensor::View<T>> keys_;    ///< by layer [K,D,S], S = key_cache_stride(capacity)
  std::vector<tensor::View<T>> values_;  ///< by layer [K,capacity,D]
  tensor::View<T> x_, middle_, normed_, qkv_, attention_, gate_up_, act_;
  tensor::View<float> rstd_;
  tensor::View<T> qk_;  ///< where q and k have norms
  tensor::View<float> qk_rstd_;
  tensor::View<T> logits_;  ///< [1,V]
  std::vector<float> logits_on_host_;
  LinearContext<T> linear_;
  BatchTables tables_;
  RopeTable rope_;
};

template <class T>
void TypedSession<T>::reserve() {
  const std::int64_t rows = std::min(capacity, kPiece);
  const std::int64_t width = config.hidden_size;
  const std::int64_t q_width = config.q_width();
  keys_.resize(static_cast<std::size_t>(config.layers));
  values_.resize(keys_.size());
  tensor::ArenaPlan plan;
  std::vector<std::function<void()>> lay_out;
  const auto add = [&]<class U>(const char* purpose, tensor::View<U>& view,
                                const tensor::Shape& shape) {
    lay_out.push_back(
        [this, &view, slot = plan.add<U>(purpose, shape)] { view = memory_.view<U>(slot); });
  };
  for (std::size_t layer = 0; layer < keys_.size(); ++layer) {
    add("cache", keys_[layer], {config.kv_heads, config.head_dim, ops::key_cache_stride(capacity)});
    add("cache", values_[layer], {config.kv_heads, capacity, config.head_dim});
  }
  add("scratch", x_, {rows, width});
  add("scratch", middle_, {rows, width});
  add("scratch", normed_, {rows, width});
  add("scratch", rstd_, {rows});
  add("scratch", qkv_, {rows, config.qkv_width()});
  if (config.has_qk_norm()) {
    add("scratch", qk_, {rows, q_width + config.kv_width()});
    add("scratch", qk_rstd_, {rows, config.heads + config.kv_heads});
  }
  add("scratch", attention_, {rows, q_width});
  add("scratch", gate_up_, {rows, 2 * config.intermediate_size});
  add("scratch", act_, {rows, config.intermediate_size});
  add("scratch", logits_, {1, config.vocab_size});
  const LinearScratch scratch =
      linear_scratch(config, decoder_.quantized.options,
                     decoder_.lora ? &decoder_.lora->config : nullptr, rows, decoder_.numbers);
  add("scratch", linear_.panel, {scratch.panel});
  add("scratch", linear_.hidden, {scratch.hidden});
  memory_.reserve(plan, "the key/value cache of a conversation");
  // Attention reads whole vectors of keys, so what is not yet written must be numbers.
  memory_.zero();
  for (const auto& view : lay_out) view();
}

/// One piece through all layers; afterwards x_ holds the last layer's output.
template <class T>
void TypedSession<T>::run(std::span<const std::int32_t> tokens) {
  const Piece piece(config, tokens, length);
  const std::int64_t count = piece.batch.length;
  tables_.place(piece.batch, piece.prepared, decoder_.numbers.device);
  BlockContext<T> context{.config = config,
                          .rows = 1,
                          .length = count,
                          .positions = tables_.positions,
                          .rope = rope_.tables(),
                          .linear = linear_};
  const auto part = [count](const auto& view) {
    return view.data() == nullptr ? view : view.rows(0, count);
  };
  LayerActivations<T> layer_memory;  // of every layer
  layer_memory.input = part(x_);
  layer_memory.normed1 = layer_memory.normed2 = part(normed_);
  layer_memory.rstd1 = layer_memory.rstd2 = part(rstd_);
  layer_memory.qk = part(qk_);
  layer_memory.qk_rstd = part(qk_rstd_);
  layer_memory.qkv = part(qkv_);
  layer_memory.attention = part(attention_);
  layer_memory.middle = part(middle_);
  layer_memory.gate_up = part(gate_up_);
  layer_memory.act = part(act_);
  ops::embedding_forward(decoder_.parameters.embedding, tables_.tokens, part(x_));
  for (std::size_t layer = 0; layer < keys_.size(); ++layer) {
    const LayerWeights<T>& weights = decoder_.parameters.layers[layer];
    attention_inputs(context, weights, layer_memory);
    ops::store_keys_values(config.heads, part(qkv_), length, keys_[layer], values_[layer]);
    ops::attention_cached(config.heads, part(qkv_), keys_[layer], values_[layer], length,
                          tables_.visible(config, static_cast<std::int64_t>(layer)),
                          part(attention_));
    attention_output(context, weights, layer_memory);
    mlp_forward(context, weights, layer_memory, part(x_));
  }
  length += count;
}

template <class T>
std::span<const float> TypedSession<T>::append(std::span<const std::int32_t> tokens) {
  std::int64_t last = 0;
  for (std::size_t begin = 0; begin < tokens.size(); begin += static_cast<std::size_t>(kPiece)) {
    const std::size_t count = std::min(static_cast<std::size_t>(kPiece), tokens.size() - begin);
    run(tokens.subspan(begin, count));
    last = static_cast<std::int64_t>(count) - 1;
  }
  const tensor::View<T> normed = normed_.rows(0, 1);
  ops::rmsnorm_forward(x_.rows(last, 1), decoder_.parameters.final_norm,
                       static_cast<float>(config.rms_norm_eps), normed, rstd_.rows(0, 1));
  ops::linear_forward(normed, decoder_.parameters.head, logits_);
  const tensor::AnyView flat =
      tensor::View<T>(logits_.data(), {config.vocab_size}, logits_.device());
  if (const std::span<const float> there = tensor::host_span(flat); !there.empty()) return there;
  logits_on_host_.resize(static_cast<std::size_t>(config.vocab_size));
  tensor::read(flat, logits_on_host_);
  return logits_on_host_;
}

}  // namespace

DecodeSession::DecodeSession(const Decoder& decoder, std::int64_t capacity) {
  NATIVO_CHECK(capacity > 0 && capacity <= INT32_MAX, "a session holds at least one token");
  NATIVO_CHECK(decoder.ranks().tensor == nullptr, "a session has the whole model");
  NATIVO_CHECK(!decoder.gathers_layers(), "a session has whole layers");
  std::visit(
      [&]<class T>(TypedCore<T>& typed) {
        state_ = std::make_unique<TypedSession<T>>(typed, capacity);
      },
      decoder.state_->typed);
}

DecodeSession::~DecodeSession() = default;
DecodeSession::DecodeSession(DecodeSession&&) noexcept = default;
DecodeSession& DecodeSession::operator=(DecodeSession&&) noexcept = default;

std::span<const float> DecodeSession::append(std::span<const std::int32_t> tokens) {
  NATIVO_CHECK(!tokens.empty(), "append needs a token");
  NATIVO_CHECK(state_->length + static_cast<std::int64_t>(tokens.size()) <= state_->capacity,
               "the session is full");
  for (const std::int32_t token : tokens) {
    NATIVO_CHECK(token >= 0 && token < state_->config.vocab_size, "token outside the vocabulary");
  }
  return state_->append(tokens);
}

void DecodeSession::truncate(std::int64_t length) {
  NATIVO_CHECK(length >= 0 && length <= state_->length, "truncate only shortens");
  state_->length = length;
}

std::int64_t DecodeSession::length() const { return state_->length; }

std::int64_t DecodeSession::capacity() const { return state_->capacity; }

}  // namespace nativo::model
