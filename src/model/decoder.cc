// The whole model: parameters, embedding, layers, classifier. See the header.
#include "model/decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "model/decoder_batch.h"
#include "model/decoder_block.h"
#include "model/decoder_state.h"
#include "model/lora.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/noise.h"
#include "ops/rmsnorm.h"

namespace nativo::model {
namespace {

/// The names and shapes of all parameters, in the order of model_tensors.
std::vector<Parameter> list_parameters(const DecoderConfig& config,
                                       const Quantization& quantization, float* memory) {
  std::vector<Parameter> list;
  float* next = memory;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) elements *= size;
    const bool decays = shape.size() > 1;
    const bool quantized = quantization.format && name.ends_with("_proj.weight");
    if (quantized) elements = 0;
    list.push_back({std::move(name),
                    std::move(shape),
                    {next, static_cast<std::size_t>(elements)},
                    {},
                    decays});
    next += elements;
  };
  const std::int64_t width = config.hidden_size;
  const std::int64_t q_width = config.q_width();
  const std::int64_t kv_width = config.kv_width();
  const std::int64_t mlp_width = config.intermediate_size;
  add("model.embed_tokens.weight", {config.vocab_size, width});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    add(prefix + "input_layernorm.weight", {width});
    add(prefix + "self_attn.q_proj.weight", {q_width, width});
    add(prefix + "self_attn.k_proj.weight", {kv_width, width});
    add(prefix + "self_attn.v_proj.weight", {kv_width, width});
    if (config.has_qkv_bias()) {
      add(prefix + "self_attn.q_proj.bias", {q_width});
      add(prefix + "self_attn.k_proj.bias", {kv_width});
      add(prefix + "self_attn.v_proj.bias", {kv_width});
    }
    if (config.has_qk_norm()) {
      add(prefix + "self_attn.q_norm.weight", {config.head_dim});
      add(prefix + "self_attn.k_norm.weight", {config.head_dim});
    }
    add(prefix + "self_attn.o_proj.weight", {width, q_width});
    if (config.attention_bias) add(prefix + "self_attn.o_proj.bias", {width});
    add(prefix + "post_attention_layernorm.weight", {width});
    add(prefix + "mlp.gate_proj.weight", {mlp_width, width});
    add(prefix + "mlp.up_proj.weight", {mlp_width, width});
    if (config.mlp_bias) {
      add(prefix + "mlp.gate_proj.bias", {mlp_width});
      add(prefix + "mlp.up_proj.bias", {mlp_width});
    }
    add(prefix + "mlp.down_proj.weight", {width, mlp_width});
    if (config.mlp_bias) add(prefix + "mlp.down_proj.bias", {width});
  }
  add("model.norm.weight", {width});
  if (!config.tie_embeddings) add("lm_head.weight", {config.vocab_size, width});
  return list;
}

/// Reserves zeroed memory for the f32 parameters, or for their gradients.
float* reserve_parameters(tensor::Arena& arena, const DecoderConfig& config,
                          const Quantization& quantization, const char* purpose) {
  tensor::ArenaPlan plan;
  const auto slot = plan.add<float>(
      purpose, {config.parameter_count() - quantized_parameter_count(config, quantization)});
  arena.reserve(plan, fmt::format("the {}", purpose));
  arena.zero();
  return arena.view<float>(slot).data();
}

const LoraConfig* lora_of(const DecoderCore& state) {
  return state.lora ? &state.lora->config : nullptr;
}

/// What the layers need in this pass beside `work`.
LinearContext linear_context(const DecoderCore& state, const Workspace& work, const Batch& batch,
                             Pass pass) {
  LinearContext context = work.linear;
  if (pass == Pass::kTraining && state.lora) {
    context.dropout = {state.lora->config.dropout, batch.noise.seed, batch.noise.step,
                       batch.noise.first_row, batch.rows};
  }
  return context;
}

/// NEFTune's noise on the embeddings x [N,C], document by document; padding gets none.
void add_neftune_noise(const Batch& batch, double alpha, tensor::View<float> x) {
  const std::int64_t width = x.size(1);
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const auto document = [&, first = row * batch.length](std::int64_t t) {
      return batch.documents[static_cast<std::size_t>(first + t)];
    };
    std::int64_t end = 0;
    for (std::int64_t begin = 0; begin < batch.length; begin = end) {
      end = begin + 1;
      while (end < batch.length && document(end) == document(begin)) ++end;
      if (document(begin) < 0) continue;
      const double magnitude = alpha / std::sqrt(static_cast<double>((end - begin) * width));
      ops::add_uniform_noise(x.rows(row * batch.length + begin, end - begin),
                             ops::row_key(batch.noise.seed, batch.noise.step, 0,
                                          batch.noise.first_row + row, begin, width),
                             static_cast<float>(magnitude));
    }
  }
}

/// Embedding and layers; the last layer's output is work.output.
Workspace run_layers(DecoderCore& state, const Batch& batch, const PreparedBatch& prepared,
                     BlockContext& context, Pass pass, double neftune_alpha = 0.0) {
  Workspace work = make_workspace(state.config,
                                  linear_scratch(state.config, state.quantized.options,
                                                 lora_of(state), batch.rows * batch.length),
                                  batch.rows, batch.length, pass, state.activation_memory);
  context.linear = linear_context(state, work, batch, pass);
  ops::embedding_forward(state.parameters.embedding, batch.tokens, work.layers.front().input);
  if (neftune_alpha > 0.0) add_neftune_noise(batch, neftune_alpha, work.layers.front().input);
  for (std::size_t layer = 0; layer < work.layers.size(); ++layer) {
    const bool last = layer + 1 == work.layers.size();
    context.first_key = visible(state.config, prepared, static_cast<std::int64_t>(layer));
    block_forward(context, state.parameters.layers[layer], work.layers[layer], work,
                  last ? work.output : work.layers[layer + 1].input);
  }
  // Only rows with a target go through the head.
  const auto rows = static_cast<std::int64_t>(prepared.target_row.size());
  work.gathered = work.gathered.rows(0, rows);
  work.gathered_norm = work.gathered_norm.rows(0, rows);
  work.gathered_rstd = work.gathered_rstd.rows(0, rows);
  ops::gather_rows(work.output, prepared.target_row, work.gathered);
  ops::rmsnorm_forward(work.gathered, state.parameters.final_norm,
                       static_cast<float>(state.config.rms_norm_eps), work.gathered_norm,
                       work.gathered_rstd);
  return work;
}

/// Calls body(first, count, logits) for each chunk of rows with a target.
template <class Body>
void for_logits(const DecoderCore& state, const Workspace& work, const Body& body) {
  const std::int64_t rows = work.gathered.size(0);
  const std::int64_t chunk = work.logits.size(0);
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const tensor::View<float> logits = work.logits.rows(0, count);
    ops::linear_forward(work.gathered_norm.rows(first, count), state.parameters.head, logits);
    body(first, count, logits);
  }
}

LossSum sum_losses(std::span<const double> log_prob) {
  LossSum sum;
  for (const double value : log_prob) sum.loss -= value;
  sum.objective = sum.loss;
  sum.targets = static_cast<std::int64_t>(log_prob.size());
  return sum;
}

/// all[target_row[i]] = log_prob[i], and 0 elsewhere.
void spread(std::span<const double> log_prob, const PreparedBatch& prepared, std::span<float> all) {
  std::fill(all.begin(), all.end(), 0.0F);
  for (std::size_t i = 0; i < log_prob.size(); ++i) {
    all[static_cast<std::size_t>(prepared.target_row[i])] = static_cast<float>(log_prob[i]);
  }
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, const Quantization& quantization)
    : state_(std::make_unique<State>()) {
  state_->config = config;
  float* memory = reserve_parameters(state_->parameter_memory, config, quantization, "parameters");
  state_->parameters = model_weights(model_tensors(config, quantization, memory));
  state_->list = list_parameters(config, quantization, memory);
  allocate_quantized(*state_, quantization);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

const DecoderConfig& Decoder::config() const { return state_->config; }

std::span<Parameter> Decoder::parameters() { return state_->list; }

std::span<const Parameter> Decoder::parameters() const { return state_->list; }

const Quantization& Decoder::quantization() const { return state_->quantized.options; }

void Decoder::load(const std::function<void(const Parameter&, std::span<float>)>& read) {
  for (const Parameter& parameter : state_->list) {
    if (!parameter.value.empty()) read(parameter, parameter.value);
  }
  if (quantization().format) load_quantized(*state_, read);
}

void Decoder::read_merged(std::size_t index, std::span<float> values) const {
  model::read_merged(*state_, index, values);
}

void Decoder::attach_lora(const LoraConfig& lora, std::uint64_t seed) {
  model::attach_lora(*state_, lora, seed);
}

const LoraConfig* Decoder::lora() const { return state_->lora ? &state_->lora->config : nullptr; }

std::span<Parameter> Decoder::trainable() {
  return state_->lora ? state_->lora->list : state_->list;
}

std::span<const Parameter> Decoder::trainable() const {
  return state_->lora ? state_->lora->list : state_->list;
}

void Decoder::initialize(std::uint64_t seed) {
  NATIVO_CHECK(!quantization().format, "a model that starts from nothing is trained whole");
  const double residual = 1.0 / std::sqrt(2.0 * static_cast<double>(state_->config.layers));
  parallel_for(state_->list.size(), [&](std::size_t index) {
    const Parameter& parameter = state_->list[index];
    if (!parameter.decays) {
      const float value = parameter.name.ends_with(".bias") ? 0.0F : 1.0F;
      std::fill(parameter.value.begin(), parameter.value.end(), value);
      return;
    }
    const bool output =
        parameter.name.ends_with("o_proj.weight") || parameter.name.ends_with("down_proj.weight");
    const double deviation = output ? 0.02 * residual : 0.02;
    Rng rng(seed, index);
    for (float& value : parameter.value) value = static_cast<float>(deviation * rng.normal());
  });
}

void Decoder::enable_gradients() {
  if (!state_->gradients.layers.empty()) return;
  if (state_->lora) {
    enable_lora_gradients(*state_);
    return;
  }
  const DecoderConfig& config = state_->config;
  NATIVO_CHECK(!quantization().format, "quantised weights are trained through LoRA only");
  float* memory = reserve_parameters(state_->gradient_memory, config, {}, "gradients");
  state_->gradients = model_tensors(config, {}, memory);
  for (Parameter& parameter : state_->list) {
    parameter.gradient = {memory, parameter.value.size()};
    memory += parameter.value.size();
  }
}

void Decoder::zero_gradients() {
  (state_->lora ? state_->lora->gradients : state_->gradient_memory).zero();
}

LossSum Decoder::forward(const Batch& batch) {
  const PreparedBatch prepared = prepare_batch(state_->config, batch);
  if (prepared.target_row.empty()) return {};
  state_->rope.grow(state_->config, prepared.positions);
  BlockContext context{state_->config, prepared, batch.positions, state_->rope, {}, {}};
  const Workspace work = run_layers(*state_, batch, prepared, context, Pass::kForward);
  std::vector<double> log_prob(prepared.target.size());
  for_logits(*state_, work, [&](std::int64_t first, std::int64_t count, auto logits) {
    const auto begin = static_cast<std::size_t>(first);
    const auto size = static_cast<std::size_t>(count);
    ops::cross_entropy_forward(logits, std::span(prepared.target).subspan(begin, size),
                               std::span(log_prob).subspan(begin, size), {});
  });
  return sum_losses(log_prob);
}

LossSum Decoder::forward_backward(const Batch& batch, const StepOptions& options) {
  NATIVO_CHECK(!state_->gradients.layers.empty(), "forward_backward before enable_gradients");
  const PreparedBatch prepared = prepare_batch(state_->config, batch);
  NATIVO_CHECK(options.log_prob.empty() || options.log_prob.size() == batch.tokens.size(),
               "forward_backward: log_prob is not [B,T]");
  if (prepared.target_row.empty()) {
    spread({}, prepared, options.log_prob);
    return {};
  }
  state_->rope.grow(state_->config, prepared.positions);
  BlockContext context{state_->config, prepared, batch.positions, state_->rope, {}, {}};
  Workspace work =
      run_layers(*state_, batch, prepared, context, Pass::kTraining, options.neftune_alpha);
  const ModelWeights& weights = state_->parameters;
  const ModelTensors& gradients = state_->gradients;
  const bool frozen = state_->lora.has_value();  // all but the adapters

  std::vector<double> log_prob(prepared.target.size());
  std::vector<double> loss(prepared.target.size());
  const auto rows = static_cast<std::int64_t>(prepared.target.size());
  const tensor::View<float> dnormed = work.dgathered.rows(0, rows);
  for_logits(*state_, work, [&](std::int64_t first, std::int64_t count, auto logits) {
    const auto begin = static_cast<std::size_t>(first);
    const auto size = static_cast<std::size_t>(count);
    ops::cross_entropy_forward_backward(logits, std::span(prepared.target).subspan(begin, size),
                                        {options.scale, options.z_loss, options.label_smoothing},
                                        std::span(log_prob).subspan(begin, size),
                                        std::span(loss).subspan(begin, size));
    ops::linear_backward_input(logits, weights.head, dnormed.rows(first, count),
                               ops::Write::kOverwrite);
    if (frozen) return;
    ops::linear_backward_weight(logits, work.gathered_norm.rows(first, count), gradients.head);
  });

  // The norm's gradient lands where the normed rows were: nobody needs those any more.
  const tensor::View<float> dgathered = work.gathered_norm;
  std::fill(dgathered.span().begin(), dgathered.span().end(), 0.0F);
  ops::rmsnorm_backward(dnormed, work.gathered, weights.final_norm, work.gathered_rstd, dgathered,
                        gradients.final_norm,
                        work.norm_partial.rows(0, ops::rmsnorm_partial_rows(rows)));
  ops::scatter_rows(dgathered, prepared.target_row, work.dx);
  for (std::size_t layer = work.layers.size(); layer-- > 0;) {
    context.first_key = visible(state_->config, prepared, static_cast<std::int64_t>(layer));
    block_backward(context, weights.layers[layer], gradients.layers[layer], work.layers[layer],
                   work);
  }
  if (!frozen) ops::embedding_backward(work.dx, batch.tokens, gradients.embedding);
  if (!options.log_prob.empty()) spread(log_prob, prepared, options.log_prob);
  LossSum sum = sum_losses(log_prob);
  sum.objective = 0.0;
  for (const double value : loss) sum.objective += value;
  return sum;
}

TokenScores Decoder::score(const Batch& batch) {
  const PreparedBatch prepared = prepare_batch(state_->config, batch);
  TokenScores scores;
  scores.log_prob.resize(batch.tokens.size());
  scores.argmax.assign(batch.tokens.size(), -1);
  if (prepared.target_row.empty()) return scores;
  state_->rope.grow(state_->config, prepared.positions);
  BlockContext context{state_->config, prepared, batch.positions, state_->rope, {}, {}};
  const Workspace work = run_layers(*state_, batch, prepared, context, Pass::kForward);
  std::vector<double> log_prob(prepared.target.size());
  std::vector<std::int32_t> argmax(prepared.target.size());
  for_logits(*state_, work, [&](std::int64_t first, std::int64_t count, auto logits) {
    const auto begin = static_cast<std::size_t>(first);
    const auto size = static_cast<std::size_t>(count);
    ops::cross_entropy_forward(logits, std::span(prepared.target).subspan(begin, size),
                               std::span(log_prob).subspan(begin, size),
                               std::span(argmax).subspan(begin, size));
  });
  spread(log_prob, prepared, scores.log_prob);
  for (std::size_t i = 0; i < argmax.size(); ++i) {
    scores.argmax[static_cast<std::size_t>(prepared.target_row[i])] = argmax[i];
  }
  return scores;
}

std::vector<float> Decoder::logits(const Batch& batch) {
  Batch every = batch;
  std::fill(every.targets.begin(), every.targets.end(), 0);
  const PreparedBatch prepared = prepare_batch(state_->config, every);
  const std::int64_t width = state_->config.vocab_size;
  std::vector<float> all(batch.tokens.size() * static_cast<std::size_t>(width), 0.0F);
  if (prepared.target_row.empty()) return all;
  state_->rope.grow(state_->config, prepared.positions);
  BlockContext context{state_->config, prepared, batch.positions, state_->rope, {}, {}};
  const Workspace work = run_layers(*state_, every, prepared, context, Pass::kForward);
  for_logits(*state_, work, [&](std::int64_t first, std::int64_t count, auto logits) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = prepared.target_row[static_cast<std::size_t>(first + i)];
      std::ranges::copy(logits.rows(i, 1).span(), all.begin() + row * width);
    }
  });
  return all;
}

}  // namespace nativo::model
