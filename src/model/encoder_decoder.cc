// The forward pass. See the header.
#include "model/encoder_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/parallel_work.h"
#include "model/encoder_decoder_weights.h"
#include "ops/elementwise.h"
#include "ops/layer_norm.h"
#include "ops/rmsnorm.h"
#include "ops/row_attention.h"

namespace nativo::model {
namespace {

using tensor::View;

constexpr std::int64_t kRowsTogether = 4;  // of attention, an item of a parallel loop
constexpr double kKeysExpected = 20.0;     // of each row

View<float> sized(std::vector<float>& memory, std::int64_t rows, std::int64_t columns) {
  const auto size = static_cast<std::size_t>(rows * columns);
  if (memory.size() < size) memory.resize(size);
  return {memory.data(), {rows, columns}};
}

void normalize(const InferenceNorm& norm, View<const float> x, View<float> y) {
  const auto columns = static_cast<std::int64_t>(norm.gamma.size());
  const View<const float> gamma(norm.gamma.data(), {columns});
  if (!norm.beta.empty()) {
    ops::layer_norm_forward(x, gamma, {norm.beta.data(), {columns}}, norm.eps, y);
    return;
  }
  // rmsnorm_forward may not write where it reads.
  std::vector<float> rstd(static_cast<std::size_t>(x.size(0)));
  const std::vector<float> copy(x.span().begin(), x.span().end());
  ops::rmsnorm_forward({copy.data(), x.shape()}, gamma, norm.eps, y, {rstd.data(), {x.size(0)}});
}

/// What a block adds to: the norm goes before the block or after the sum.
View<const float> block_input(const std::optional<InferenceNorm>& norm, bool pre_norm,
                              View<const float> x, EncoderDecoderScratch& scratch) {
  if (!norm || !pre_norm) return x;
  const View<float> normed = sized(scratch.normed, x.size(0), x.size(1));
  normalize(*norm, x, normed);
  return normed;
}

/// x += out; then the norm if it comes after.
void close_block(const std::optional<InferenceNorm>& norm, bool pre_norm, View<const float> out,
                 View<float> x) {
  if (!norm) {  // a block without a norm has no residual either
    std::copy(out.span().begin(), out.span().end(), x.data());
    return;
  }
  ops::add(out, x, x);
  if (!pre_norm) normalize(*norm, x, x);
}

ops::RowAttention attention_shape(const AttentionWeights& weights, std::int64_t heads,
                                  std::int64_t width) {
  ops::RowAttention shape{heads, width / heads, weights.scale, {}};
  if (!weights.relative_keys.empty()) {
    const auto places = static_cast<std::int64_t>(weights.relative_keys.size()) / shape.head_size;
    shape.relative = {weights.relative_keys.data(),
                      weights.relative_values.empty() ? nullptr : weights.relative_values.data(),
                      (places - 1) / 2};
  }
  return shape;
}

void embed(const TransformerStack& stack, std::int32_t token, std::int64_t position, float* row) {
  const InferenceEmbedding& table = *stack.embedding;
  NATIVO_CHECK(token >= 0 && token < table.rows, "a token of the vocabulary");
  const auto first = static_cast<std::size_t>(token * table.width);
  const bool zero = stack.start_from_zero && position == 0;
  for (std::int64_t i = 0; i < table.width; ++i) {
    const std::size_t at = first + static_cast<std::size_t>(i);
    const float value = table.codes.empty() ? table.values[at]
                                            : static_cast<float>(table.codes[at]) *
                                                  table.factors[static_cast<std::size_t>(token)];
    row[i] = zero ? 0.0F : value * stack.embedding_scale;
  }
  if (!stack.has_positions) return;
  const float* place = stack.positions.data() + position * table.width;
  std::vector<float> computed;
  if (position >= static_cast<std::int64_t>(stack.positions.size()) / table.width) {
    NATIVO_CHECK(!stack.stored_positions, "a place that has a stored position");
    computed.resize(static_cast<std::size_t>(table.width));
    sinusoidal_position(position, table.width, computed.data());
    place = computed.data();
  }
  for (std::int64_t i = 0; i < table.width; ++i) row[i] += place[i];
}

void feed_forward(const TransformerStack& stack, const FeedForwardWeights& weights, View<float> x,
                  EncoderDecoderScratch& scratch) {
  const std::int64_t rows = x.size(0);
  const View<const float> in = block_input(weights.norm, stack.pre_norm, x, scratch);
  const View<float> inner = sized(scratch.inner, rows, weights.input.outputs());
  const bool relu = stack.activation == ops::Activation::kRelu;
  weights.input.forward(in, relu ? ops::Epilogue::kRelu : ops::Epilogue::kNone, scratch.linear,
                        inner);
  if (!relu) ops::activate(stack.activation, inner);
  if (weights.gate) {
    const View<float> gate = sized(scratch.gate, rows, weights.gate->outputs());
    weights.gate->forward(in, ops::Epilogue::kNone, scratch.linear, gate);
    ops::multiply(inner, gate);
  }
  const View<float> out = sized(scratch.context, rows, x.size(1));
  weights.output.forward(inner, ops::Epilogue::kNone, scratch.linear, out);
  close_block(weights.norm, stack.pre_norm, out, x);
}

/// Queries that attend to the same keys.
struct AttentionGroup {
  std::vector<const float*> keys;
  std::vector<const float*> values;
  std::vector<ops::AttentionQuery> queries;
  std::vector<float> weights;

  void clear() {
    keys.clear();
    values.clear();
    queries.clear();
  }
  /// `key` [D] with its value [D] behind it.
  void add_key(const float* key, std::int64_t width) {
    keys.push_back(key);
    values.push_back(key + width);
  }
  void add_query(const float* query, std::int64_t position, float* out) {
    queries.push_back({query, position, nullptr, out});
  }
  void run(const ops::RowAttention& shape) {
    const std::int64_t floats = shape.heads * ops::attention_stride(keys.size());
    weights.resize(queries.size() * static_cast<std::size_t>(floats));
    float* at = weights.data();
    for (ops::AttentionQuery& query : queries) {
      query.weights = at;
      at += floats;
    }
    ops::row_attention(shape, queries, keys, values);
  }
};

/// Calls body(first, end, group) for all rows of `width` floats, a few an item, those of the same()
/// keys together.
template <class Same, class Body>
void for_groups(std::int64_t rows, std::int64_t width, const Same& same, const Body& body) {
  parallel_work(static_cast<std::size_t>((rows + kRowsTogether - 1) / kRowsTogether),
                static_cast<double>(rows * width) * kKeysExpected / 10.0, [&](std::size_t item) {
                  const std::int64_t begin = static_cast<std::int64_t>(item) * kRowsTogether;
                  const std::int64_t stop = std::min(begin + kRowsTogether, rows);
                  AttentionGroup group;
                  for (std::int64_t first = begin; first < stop;) {
                    std::int64_t end = first + 1;
                    while (end < stop && same(first, end)) ++end;
                    group.clear();
                    body(first, end, group);
                    first = end;
                  }
                });
}

void self_attention(const AttentionWeights& weights, const TransformerStack& stack,
                    std::span<const DecoderRow> rows, std::size_t layer, View<float> x,
                    EncoderDecoderScratch& scratch) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t width = x.size(1);
  const View<const float> in = block_input(weights.norm, stack.pre_norm, x, scratch);
  const View<float> qkv = sized(scratch.projected, count, 3 * width);
  weights.input.forward(in, ops::Epilogue::kNone, scratch.linear, qkv);
  const std::int64_t offset = static_cast<std::int64_t>(layer) * key_value_stride(width);
  for (std::int64_t n = 0; n < count; ++n) {
    const DecoderRow& row = rows[static_cast<std::size_t>(n)];
    std::copy_n(qkv.data() + (n * 3 + 1) * width, 2 * width,
                row.cache->rows[static_cast<std::size_t>(row.slot)] + offset);
  }
  const View<float> context = sized(scratch.context, count, width);
  const ops::RowAttention shape = attention_shape(weights, stack.heads, width);
  const auto alone = [](std::int64_t, std::int64_t) { return false; };
  for_groups(count, width, alone, [&](std::int64_t n, std::int64_t /*end*/, AttentionGroup& group) {
    const DecoderRow& row = rows[static_cast<std::size_t>(n)];
    for (const std::int32_t slot : row.past) {
      group.add_key(row.cache->rows[static_cast<std::size_t>(slot)] + offset, width);
    }
    group.add_key(row.cache->rows[static_cast<std::size_t>(row.slot)] + offset, width);
    group.add_query(qkv.data() + n * 3 * width, row.position, context.data() + n * width);
    group.run(shape);
  });
  const View<float> out = sized(scratch.inner, count, width);
  weights.output.forward(context, ops::Epilogue::kNone, scratch.linear, out);
  close_block(weights.norm, stack.pre_norm, out, x);
}

/// `align` > 0: rows that want it get the average of the first so many heads' attention.
void cross_attention(const AttentionWeights& weights, const TransformerStack& stack,
                     std::span<const DecoderRow> rows, std::size_t layer, std::int64_t align,
                     View<float> x, EncoderDecoderScratch& scratch) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t width = x.size(1);
  const View<const float> in = block_input(weights.norm, stack.pre_norm, x, scratch);
  const View<float> queries = sized(scratch.projected, count, width);
  weights.input.forward(in, ops::Epilogue::kNone, scratch.linear, queries);
  const View<float> context = sized(scratch.context, count, width);
  const ops::RowAttention shape = attention_shape(weights, stack.heads, width);
  const auto same_source = [&](std::int64_t a, std::int64_t b) {
    return rows[static_cast<std::size_t>(a)].source == rows[static_cast<std::size_t>(b)].source;
  };
  for_groups(
      count, width, same_source, [&](std::int64_t first, std::int64_t end, AttentionGroup& group) {
        const SourceMemory& source = *rows[static_cast<std::size_t>(first)].source;
        for (std::int64_t j = 0; j < source.length; ++j) {
          group.add_key(source.rows[static_cast<std::size_t>(j)] +
                            static_cast<std::int64_t>(layer) * key_value_stride(width),
                        width);
        }
        for (std::int64_t n = first; n < end; ++n) {
          group.add_query(queries.data() + n * width, rows[static_cast<std::size_t>(n)].position,
                          context.data() + n * width);
        }
        group.run(shape);
        const std::int64_t stride = ops::attention_stride(group.keys.size());
        for (std::int64_t n = first; n < end; ++n) {
          float* alignment = rows[static_cast<std::size_t>(n)].alignment;
          if (alignment == nullptr || align == 0) continue;
          const float* heads = group.queries[static_cast<std::size_t>(n - first)].weights;
          for (std::int64_t j = 0; j < source.length; ++j) {
            float sum = 0.0F;
            for (std::int64_t head = 0; head < align; ++head) sum += heads[head * stride + j];
            alignment[j] = sum / static_cast<float>(align);
          }
        }
      });
  const View<float> out = sized(scratch.inner, count, width);
  weights.output.forward(context, ops::Epilogue::kNone, scratch.linear, out);
  close_block(weights.norm, stack.pre_norm, out, x);
}

/// Where each row's sentence lies among the rows of all.
struct Sentence {
  std::int64_t first;
  std::int64_t length;
};

void encoder_attention(const AttentionWeights& weights, const TransformerStack& stack,
                       std::span<const Sentence> of_row, View<float> x,
                       EncoderDecoderScratch& scratch) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  const View<const float> in = block_input(weights.norm, stack.pre_norm, x, scratch);
  const View<float> qkv = sized(scratch.projected, rows, 3 * width);
  weights.input.forward(in, ops::Epilogue::kNone, scratch.linear, qkv);
  const View<float> context = sized(scratch.context, rows, width);
  const ops::RowAttention shape = attention_shape(weights, stack.heads, width);
  const auto same_sentence = [&](std::int64_t a, std::int64_t b) {
    return of_row[static_cast<std::size_t>(a)].first == of_row[static_cast<std::size_t>(b)].first;
  };
  for_groups(rows, width, same_sentence,
             [&](std::int64_t first, std::int64_t end, AttentionGroup& group) {
               const Sentence& sentence = of_row[static_cast<std::size_t>(first)];
               const float* key = qkv.data() + (sentence.first * 3 + 1) * width;
               for (std::int64_t j = 0; j < sentence.length; ++j)
                 group.add_key(key + j * 3 * width, width);
               for (std::int64_t n = first; n < end; ++n) {
                 group.add_query(qkv.data() + n * 3 * width, n - sentence.first,
                                 context.data() + n * width);
               }
               group.run(shape);
             });
  const View<float> out = sized(scratch.inner, rows, width);
  weights.output.forward(context, ops::Epilogue::kNone, scratch.linear, out);
  close_block(weights.norm, stack.pre_norm, out, x);
}

std::int64_t key_value_floats(const TransformerStack& decoder, std::int64_t width) {
  return static_cast<std::int64_t>(decoder.layers.size()) * key_value_stride(width);
}

std::int64_t most_positions(const TransformerStack& stack, std::int64_t width) {
  if (!stack.stored_positions) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(stack.positions.size()) / width;
}

}  // namespace

void sinusoidal_position(std::int64_t position, std::int64_t width, float* row) {
  const std::int64_t half = width / 2;
  const float increment = std::log(10000.0F) / static_cast<float>(half - 1);
  for (std::int64_t j = 0; j < half; ++j) {
    const float timescale = std::exp(-increment * static_cast<float>(j));
    const float angle = static_cast<float>(position + 1) * timescale;
    row[j] = std::sin(angle);
    row[half + j] = std::cos(angle);
  }
}

EncoderDecoder::EncoderDecoder(std::unique_ptr<EncoderDecoderWeights> weights)
    : weights_(std::move(weights)) {}
EncoderDecoder::EncoderDecoder(EncoderDecoder&&) noexcept = default;
EncoderDecoder& EncoderDecoder::operator=(EncoderDecoder&&) noexcept = default;
EncoderDecoder::~EncoderDecoder() = default;

std::int64_t EncoderDecoder::width() const { return weights_->width; }
std::int64_t EncoderDecoder::source_vocabulary() const { return weights_->encoder.embedding->rows; }
std::int64_t EncoderDecoder::target_vocabulary() const { return weights_->projection.outputs(); }
std::int64_t EncoderDecoder::source_positions() const {
  return most_positions(weights_->encoder, weights_->width);
}
std::int64_t EncoderDecoder::target_positions() const {
  return most_positions(weights_->decoder, weights_->width);
}
bool EncoderDecoder::is_int8() const { return weights_->int8; }
std::int64_t EncoderDecoder::bytes() const { return weights_->bytes; }
const InferenceLinear& EncoderDecoder::projection() const { return weights_->projection; }

std::vector<SourceMemory> EncoderDecoder::encode(
    std::span<const std::span<const std::int32_t>> sources, EncoderDecoderScratch& scratch) const {
  const TransformerStack& stack = weights_->encoder;
  const std::int64_t width = weights_->width;
  std::vector<Sentence> sentences;
  std::vector<Sentence> of_row;
  for (const auto& source : sources) {
    const auto length = static_cast<std::int64_t>(source.size());
    NATIVO_CHECK(length > 0 && length <= source_positions(), "a source of a length that fits");
    sentences.push_back({static_cast<std::int64_t>(of_row.size()), length});
    of_row.insert(of_row.end(), source.size(), sentences.back());
  }
  const auto rows = static_cast<std::int64_t>(of_row.size());
  const View<float> x = sized(scratch.x, rows, width);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    for (std::int64_t i = 0; i < sentences[s].length; ++i) {
      embed(stack, sources[s][static_cast<std::size_t>(i)], i,
            x.data() + (sentences[s].first + i) * width);
    }
  }
  if (stack.embedding_norm) normalize(*stack.embedding_norm, x, x);
  for (const TransformerLayer& layer : stack.layers) {
    encoder_attention(layer.self, stack, of_row, x, scratch);
    feed_forward(stack, layer.feed_forward, x, scratch);
  }
  if (stack.final_norm) normalize(*stack.final_norm, x, x);

  std::vector<SourceMemory> memories(sources.size());
  scratch.pool.set_row_floats(key_value_floats(weights_->decoder, width));
  for (std::size_t s = 0; s < sources.size(); ++s) {
    memories[s].length = sentences[s].length;
    memories[s].rows = KeyValueRows(scratch.pool);
    memories[s].rows.grow(sources[s].size());
  }
  const View<float> projected = sized(scratch.projected, rows, 2 * width);
  for (std::size_t l = 0; l < weights_->decoder.layers.size(); ++l) {
    weights_->decoder.layers[l].cross->keys_values.forward(x, ops::Epilogue::kNone, scratch.linear,
                                                           projected);
    const float* from = projected.data();
    for (const SourceMemory& memory : memories) {
      for (std::size_t i = 0; i < memory.rows.size(); ++i, from += 2 * width) {
        std::copy_n(from, 2 * width,
                    memory.rows[i] + static_cast<std::int64_t>(l) * key_value_stride(width));
      }
    }
  }
  return memories;
}

void EncoderDecoder::decode(std::span<const DecoderRow> rows, EncoderDecoderScratch& scratch,
                            View<float> hidden) const {
  const TransformerStack& stack = weights_->decoder;
  const std::int64_t width = weights_->width;
  NATIVO_CHECK(hidden.shape() == (tensor::Shape{static_cast<std::int64_t>(rows.size()), width}),
               "a hidden row a hypothesis");
  for (std::size_t n = 0; n < rows.size(); ++n) {
    const DecoderRow& row = rows[n];
    NATIVO_CHECK(row.position < target_positions(), "a target of a length that fits");
    row.cache->rows.grow(static_cast<std::size_t>(row.slot) + 1);
    embed(stack, row.token, row.position, hidden.data() + static_cast<std::int64_t>(n) * width);
  }
  if (stack.embedding_norm) normalize(*stack.embedding_norm, hidden, hidden);
  for (std::size_t l = 0; l < stack.layers.size(); ++l) {
    const TransformerLayer& layer = stack.layers[l];
    self_attention(layer.self, stack, rows, l, hidden, scratch);
    cross_attention(*layer.cross, stack, rows, l,
                    l == weights_->alignment_layer ? weights_->alignment_heads : 0, hidden,
                    scratch);
    feed_forward(stack, layer.feed_forward, hidden, scratch);
  }
  if (stack.final_norm) normalize(*stack.final_norm, hidden, hidden);
  if (weights_->output_scale) {
    for (float& value : hidden.span()) value *= *weights_->output_scale;
  }
}

}  // namespace nativo::model
