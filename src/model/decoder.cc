// Parameters and their gradients; what is computed is in model/decoder_pass.cc. See the header.
#include "model/decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "dist/communicator.h"
#include "model/decoder_pass.h"
#include "model/decoder_state.h"
#include "model/layer_shards.h"
#include "model/lora.h"
#include "ops/cross_entropy.h"

namespace nativo::model {
namespace {

/// The names and shapes of all parameters, in the order of model_tensors.
/// `config` is that of part `rank` of `ranks`.
std::vector<Parameter> list_parameters(const DecoderConfig& config,
                                       const Quantization& quantization, float* memory,
                                       std::int64_t rank, std::int64_t ranks) {
  std::vector<Parameter> list;
  float* next = memory;
  std::int64_t at = -1;
  enum class Cut { kNone, kRows, kColumns, kSummed };
  const auto add = [&](std::string name, std::vector<std::int64_t> shape, Cut cut = Cut::kNone) {
    TensorPart part;
    if (cut == Cut::kRows) part = row_part(shape, rank, ranks);
    if (cut == Cut::kColumns) part = column_part(shape, rank, ranks);
    part.is_summed = cut == Cut::kSummed && ranks > 1;
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) elements *= size;
    const bool decays = shape.size() > 1;
    const bool quantized = quantization.format && name.ends_with("_proj.weight");
    if (quantized) elements = 0;
    list.push_back({std::move(name),
                    std::move(shape),
                    {next, static_cast<std::size_t>(elements)},
                    {},
                    decays,
                    at,
                    std::move(part)});
    next += elements;
  };
  const std::int64_t width = config.hidden_size;
  const std::int64_t q_width = config.q_width();
  const std::int64_t kv_width = config.kv_width();
  const std::int64_t mlp_width = config.intermediate_size;
  add("model.embed_tokens.weight", {config.vocab_size, width});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    at = layer;
    add(prefix + "input_layernorm.weight", {width});
    add(prefix + "self_attn.q_proj.weight", {q_width, width}, Cut::kRows);
    add(prefix + "self_attn.k_proj.weight", {kv_width, width}, Cut::kRows);
    add(prefix + "self_attn.v_proj.weight", {kv_width, width}, Cut::kRows);
    if (config.has_qkv_bias()) {
      add(prefix + "self_attn.q_proj.bias", {q_width}, Cut::kRows);
      add(prefix + "self_attn.k_proj.bias", {kv_width}, Cut::kRows);
      add(prefix + "self_attn.v_proj.bias", {kv_width}, Cut::kRows);
    }
    if (config.has_qk_norm()) {
      add(prefix + "self_attn.q_norm.weight", {config.head_dim}, Cut::kSummed);
      add(prefix + "self_attn.k_norm.weight", {config.head_dim}, Cut::kSummed);
    }
    add(prefix + "self_attn.o_proj.weight", {width, q_width}, Cut::kColumns);
    if (config.attention_bias) add(prefix + "self_attn.o_proj.bias", {width});
    add(prefix + "post_attention_layernorm.weight", {width});
    add(prefix + "mlp.gate_proj.weight", {mlp_width, width}, Cut::kRows);
    add(prefix + "mlp.up_proj.weight", {mlp_width, width}, Cut::kRows);
    if (config.mlp_bias) {
      add(prefix + "mlp.gate_proj.bias", {mlp_width}, Cut::kRows);
      add(prefix + "mlp.up_proj.bias", {mlp_width}, Cut::kRows);
    }
    add(prefix + "mlp.down_proj.weight", {width, mlp_width}, Cut::kColumns);
    if (config.mlp_bias) add(prefix + "mlp.down_proj.bias", {width});
  }
  at = config.layers;
  add("model.norm.weight", {width});
  if (!config.tie_embeddings) add("lm_head.weight", {config.vocab_size, width});
  return list;
}

/// Reserves zeroed memory for the f32 parameters, or for their gradients.
float* reserve_parameters(tensor::Arena& arena, const DecoderConfig& config,
                          const Quantization& quantization, const char* purpose,
                          dist::Communicator* in_common = nullptr) {
  tensor::ArenaPlan plan;
  const auto slot = plan.add<float>(
      purpose, {config.parameter_count() - quantized_parameter_count(config, quantization)});
  reserve_in_common(arena, plan, fmt::format("the {}", purpose), in_common);
  return arena.view<float>(slot).data();
}

/// See LayerShards::fill; of what is not quantised.
void fill_parameters(const DecoderCore& core, const LayerShards::RunAll& run_all,
                     const std::function<void(std::size_t, std::span<float>)>& make) {
  if (core.shards) return core.shards->fill(run_all, make);
  run_all(core.list.size(), [&](std::size_t index) {
    const std::span<float> value = core.list[index].value;
    if (!value.empty() && is_ours(core, index)) make(index, value);
  });
}

/// log p(target) of each target, and the greedy tokens where `argmax` is not empty.
std::vector<double> target_log_probs(DecoderPass& pass, std::span<std::int32_t> argmax) {
  const std::span<const std::int32_t> targets(pass.prepared().target);
  std::vector<double> log_prob(targets.size());
  if (targets.empty()) {
    pass.attend();
    return log_prob;
  }
  pass.run_layers();
  pass.for_logits([&](std::size_t first, tensor::View<float> logits) {
    const auto size = static_cast<std::size_t>(logits.size(0));
    ops::cross_entropy_forward(logits, targets.subspan(first, size),
                               std::span(log_prob).subspan(first, size),
                               argmax.empty() ? argmax : argmax.subspan(first, size));
  });
  return log_prob;
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, const Quantization& quantization,
                 const DecoderRanks& ranks)
    : state_(std::make_unique<State>()) {
  const std::int64_t parts = ranks.tensor == nullptr ? 1 : ranks.tensor->size();
  const std::int64_t part = ranks.tensor == nullptr ? 0 : ranks.tensor->rank();
  state_->whole = config;
  state_->config = tensor_part(config, parts);
  state_->ranks = ranks;
  if (parts == 1) state_->ranks.tensor = nullptr;
  const bool is_apart = ranks.weights != nullptr && ranks.weights->place().nodes > 1;
  if (is_apart && !quantization.format) {
    state_->shards = std::make_unique<LayerShards>(state_->config, *ranks.weights);
  }
  float* memory = state_->shards ? state_->shards->addresses()
                                 : reserve_parameters(state_->parameter_memory, state_->config,
                                                      quantization, "parameters", ranks.weights);
  state_->parameters = model_weights(model_tensors(state_->config, quantization, memory));
  state_->list = list_parameters(state_->config, quantization, memory, part, parts);
  if (state_->shards) state_->shards->bind(state_->list, state_->parameters);
  allocate_quantized(*state_, quantization);
  for (LayerWeights& layer : state_->parameters.layers) {
    if (part == 0) break;  // what is added once, one rank adds to the sum
    layer.output.bias = {};
    layer.down.bias = {};
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

const DecoderConfig& Decoder::config() const { return state_->whole; }

const DecoderRanks& Decoder::ranks() const { return state_->ranks; }

bool Decoder::gathers_layers() const { return state_->shards != nullptr; }

std::span<Parameter> Decoder::parameters() { return state_->list; }

std::span<const Parameter> Decoder::parameters() const { return state_->list; }

const Quantization& Decoder::quantization() const { return state_->quantized.options; }

void Decoder::load(const std::function<void(const Parameter&, std::span<float>)>& read) {
  const auto one_by_one = [](std::size_t count, const std::function<void(std::size_t)>& body) {
    for (std::size_t i = 0; i < count; ++i) body(i);
  };
  fill_parameters(*state_, one_by_one, [&](std::size_t index, std::span<float> values) {
    read(state_->list[index], values);
  });
  if (quantization().format) load_quantized(*state_, read);
  meet(*state_);
}

void Decoder::read_merged(std::size_t index, std::span<float> values) const {
  model::read_merged(*state_, index, values);
}

void Decoder::read_whole(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = state_->list.at(index);
  if (!parameter.part.is_cut()) return read_merged(index, values);
  std::size_t elements = 1;
  for (const std::int64_t size : parameter.shape) elements *= static_cast<std::size_t>(size);
  std::vector<float> mine(elements);
  read_merged(index, mine);
  gather_whole(*state_->ranks.tensor, parameter.part, mine, values);
}

void Decoder::read_whole_adapter(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = trainable()[index];
  if (parameter.part.is_cut()) {
    gather_whole(*state_->ranks.tensor, parameter.part, parameter.value, values);
  } else {
    std::ranges::copy(parameter.value, values.begin());
  }
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
  const auto at_once = [](std::size_t count, const std::function<void(std::size_t)>& body) {
    parallel_for(count, body);
  };
  fill_parameters(*state_, at_once, [&](std::size_t index, std::span<float> values) {
    const Parameter& parameter = state_->list[index];
    if (!parameter.decays) {
      const float value = parameter.name.ends_with(".bias") ? 0.0F : 1.0F;
      std::fill(values.begin(), values.end(), value);
      return;
    }
    const bool output =
        parameter.name.ends_with("o_proj.weight") || parameter.name.ends_with("down_proj.weight");
    const double deviation = output ? 0.02 * residual : 0.02;
    Rng rng(seed, index);
    draw(parameter.part, values, [&] { return static_cast<float>(deviation * rng.normal()); });
  });
  meet(*state_);
}

void Decoder::enable_gradients(GradientMemory memory, std::span<std::byte> place) {
  if (!state_->gradients.layers.empty()) return;
  if (state_->lora) {
    if (!place.empty()) state_->lora->gradients.adopt(place);
    enable_lora_gradients(*state_);
    return;
  }
  const DecoderConfig& config = state_->config;
  NATIVO_CHECK(!quantization().format, "quantised weights are trained through LoRA only");
  state_->gradient_memory = memory;
  state_->gradients_are_zero = true;
  if (memory != GradientMemory::kApart) {
    bind_gradients(*state_, {});
    return;
  }
  if (!place.empty()) state_->own_gradients.adopt(place);
  float* values = reserve_parameters(state_->own_gradients, config, {}, "gradients");
  bind_gradients(*state_, model_tensors(config, {}, values));
}

void Decoder::zero_gradients() {
  state_->gradients_are_zero = true;
  (state_->lora ? state_->lora->gradients : state_->own_gradients).zero();
}

LossSum Decoder::forward(const Batch& batch) {
  DecoderPass pass(*state_, batch, nullptr);
  return sum_losses(target_log_probs(pass, {}));
}

void Decoder::attend_forward() { model::attend(*state_, nullptr); }

void Decoder::attend_forward_backward(const StepOptions& options) {
  model::attend(*state_, &options);
}

LossSum Decoder::forward_backward(const Batch& batch, const StepOptions& options) {
  NATIVO_CHECK(!state_->gradients.layers.empty(), "forward_backward before enable_gradients");
  NATIVO_CHECK(options.log_prob.empty() || options.log_prob.size() == batch.tokens.size(),
               "forward_backward: log_prob is not [B,T]");
  NATIVO_CHECK(state_->gradient_memory != GradientMemory::kShared || state_->gradients_are_zero,
               "gradients that share memory do not accumulate");
  state_->gradients_are_zero = false;
  DecoderPass pass(*state_, batch, &options);
  if (pass.prepared().target.empty()) {
    pass.attend();
    spread_log_prob({}, pass.prepared(), options.log_prob);
    return {};
  }
  pass.run_layers();
  return pass.run_backward();
}

DecoderMemory Decoder::memory() const {
  DecoderMemory memory;
  memory.parameters =
      state_->shards ? state_->shards->bytes() : state_->parameter_memory.capacity();
  memory.quantized_parameters = state_->quantized.memory.capacity();
  memory.gradients = state_->own_gradients.capacity();
  memory.pass = state_->pass_memory.capacity();
  if (state_->lora) {
    memory.adapters = state_->lora->values.capacity();
    memory.gradients = state_->lora->gradients.capacity();
  }
  return memory;
}

TokenScores Decoder::score(const Batch& batch) {
  DecoderPass pass(*state_, batch, nullptr);
  const PreparedBatch& prepared = pass.prepared();
  std::vector<std::int32_t> argmax(prepared.target.size());
  const std::vector<double> log_prob = target_log_probs(pass, argmax);
  TokenScores scores;
  scores.log_prob.resize(batch.tokens.size());
  scores.argmax.assign(batch.tokens.size(), -1);
  spread_log_prob(log_prob, prepared, scores.log_prob);
  for (std::size_t i = 0; i < argmax.size(); ++i) {
    scores.argmax[static_cast<std::size_t>(prepared.target_row[i])] = argmax[i];
  }
  return scores;
}

std::vector<float> Decoder::logits(const Batch& batch) {
  Batch every = batch;
  std::fill(every.targets.begin(), every.targets.end(), 0);
  DecoderPass pass(*state_, every, nullptr);
  const std::span<const std::int32_t> rows(pass.prepared().target_row);
  const std::int64_t width = state_->config.vocab_size;
  std::vector<float> all(batch.tokens.size() * static_cast<std::size_t>(width), 0.0F);
  if (rows.empty()) {
    pass.attend();
    return all;
  }
  pass.run_layers();
  pass.for_logits([&](std::size_t first, tensor::View<float> logits) {
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      std::ranges::copy(logits.rows(i, 1).span(),
                        all.begin() + rows[first + static_cast<std::size_t>(i)] * width);
    }
  });
  return all;
}

}  // namespace nativo::model
