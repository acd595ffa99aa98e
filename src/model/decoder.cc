// Parameters and their gradients; what is computed is in model/decoder_pass.cc. See the header.
#include "model/decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "dist/communicator.h"
#include "model/decoder_pass.h"
#include "model/decoder_state.h"
#include "model/gpu_layer_shards.h"
#include "model/layer_shards.h"
#include "model/lora.h"
#include "ops/cross_entropy.h"

namespace nativo::model {
namespace {

/// The names and shapes of all parameters, in the order of model_tensors. `config` is that of part
/// `rank` of `ranks`.
std::vector<Parameter> list_parameters(const DecoderConfig& config,
                                       const Quantization& quantization,
                                       const tensor::AnyView& memory, std::int64_t rank,
                                       std::int64_t ranks) {
  std::vector<Parameter> list;
  std::size_t next = 0;
  std::int64_t at = -1;
  enum class Cut { kNone, kRows, kColumns, kSummed };
  const auto add = [&](std::string name, std::vector<std::int64_t> shape, Cut cut = Cut::kNone) {
    TensorPart part;
    if (cut == Cut::kRows) part = row_part(shape, rank, ranks);
    if (cut == Cut::kColumns) part = column_part(shape, rank, ranks);
    part.is_summed = cut == Cut::kSummed && ranks > 1;
    std::size_t elements = 1;
    for (const std::int64_t size : shape) elements *= static_cast<std::size_t>(size);
    const bool decays = shape.size() > 1;
    const bool quantized = quantization.format && name.ends_with("_proj.weight");
    list.push_back({std::move(name), std::move(shape), {}, {}, decays, at, std::move(part)});
    if (quantized) return;
    list.back().set_stored(tensor::part(memory, next, elements));
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

/// Reserves zeroed memory for the parameters that are not quantised, or for their gradients.
template <class T>
tensor::View<T> reserve_parameters(tensor::Arena& arena, const DecoderConfig& config,
                                   const Quantization& quantization, const char* purpose,
                                   dist::Communicator* in_common = nullptr) {
  tensor::ArenaPlan plan;
  const auto slot = plan.add<T>(
      purpose, {config.parameter_count() - quantized_parameter_count(config, quantization)});
  reserve_in_common(arena, plan, fmt::format("the {}", purpose), in_common);
  return arena.view<T>(slot);
}

/// See LayerShards::fill; of what is not quantised.
void fill_parameters(const DecoderCore& core, const LayerShards::RunAll& run_all,
                     const std::function<void(std::size_t, std::span<float>)>& make) {
  if (core.shards) return core.shards->fill(run_all, make);
  run_all(core.list.size(), [&](std::size_t index) {
    const Parameter& parameter = core.list[index];
    if (parameter.elements() == 0 || !is_ours(core, index)) return;
    if (!parameter.value.empty()) return make(index, parameter.value);
    std::vector<float> made(parameter.elements());
    make(index, made);
    tensor::write(made, parameter.stored);
  });
}

/// log p(target) of each target, and the greedy tokens if `wants_argmax`.
template <class T>
TargetResults score_targets(DecoderPass<T>& pass, bool wants_argmax) {
  if (pass.prepared().target.empty()) {
    pass.attend();
    return {};
  }
  pass.run_layers();
  BatchTables& tables = pass.tables();
  pass.for_logits([&](std::size_t first, tensor::View<T> logits) {
    const auto size = static_cast<std::size_t>(logits.size(0));
    ops::cross_entropy_forward(
        logits, tables.target.subspan(first, size), tables.log_prob.subspan(first, size),
        wants_argmax ? tables.argmax.subspan(first, size) : std::span<std::int32_t>());
  });
  return tables.results();
}

/// Memory for the parameters, and all that points into it.
template <class T>
void lay_out_parameters(TypedCore<T>& core, const Quantization& quantization, std::int64_t part,
                        std::int64_t parts) {
  const auto lay_out = [&](const tensor::View<T>& memory) {
    core.parameters = model_weights(model_tensors(core.config, quantization, memory));
    core.list = list_parameters(core.config, quantization, memory, part, parts);
  };
  const auto lay_out_shards = [&](auto shards) {
    lay_out({shards->addresses(), {core.config.parameter_count()}, core.numbers.device});
    shards->bind(core.list, core.parameters);
    core.shards = std::move(shards);
  };
  dist::Communicator* const weights = core.ranks.weights;
  const bool on_gpu = core.numbers.device.is_cuda();
  if (weights == nullptr || quantization.format || (weights->place().nodes == 1 && !on_gpu)) {
    lay_out(reserve_parameters<T>(core.parameter_memory, core.config, quantization, "parameters",
                                  weights));
  } else if (on_gpu) {
    lay_out_shards(std::make_unique<GpuLayerShards<T>>(core.config, *weights, core.numbers.device));
  } else if constexpr (std::is_same_v<T, float>) {
    lay_out_shards(std::make_unique<NodeLayerShards>(core.config, *weights));
  }
  allocate_quantized(core, quantization);
  for (LayerWeights<T>& layer : core.parameters.layers) {
    if (part == 0) break;  // what is added once, one rank adds to the sum
    layer.output.bias = {};
    layer.down.bias = {};
  }
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, const Quantization& quantization,
                 const DecoderRanks& ranks, const Numbers& numbers)
    : state_(std::make_unique<State>()) {
  tensor::require_device(numbers.device);
  if (numbers.fp8 && tensor::gpu_facts(numbers.device).capability < 89) {
    throw Error(ExitCode::kConfig,
                fmt::format("FP8 on {}: its tensor cores have none (compute capability 8.9 and "
                            "later do)",
                            tensor::device_name(numbers.device)),
                "use precision = \"bf16\"");
  }
  const bool is_bf16 = numbers.type == tensor::DType::kBf16;
  NATIVO_CHECK(is_bf16 || numbers.type == tensor::DType::kF32, "decoders compute in f32 or bf16");
  NATIVO_CHECK(!is_bf16 || numbers.device.is_cuda(), "arithmetic in bf16 is a GPU's");
  if (is_bf16) state_->typed.emplace<TypedCore<tensor::bf16>>();
  const std::int64_t parts = ranks.tensor == nullptr ? 1 : ranks.tensor->size();
  const std::int64_t part = ranks.tensor == nullptr ? 0 : ranks.tensor->rank();
  DecoderCore& common = core();
  common.whole = config;
  common.config = tensor_part(config, parts);
  common.ranks = ranks;
  if (parts == 1) common.ranks.tensor = nullptr;
  if (numbers.device.is_cuda() && quantization.format) common.ranks.weights = nullptr;
  common.numbers = numbers;
  for (tensor::Arena* arena : {&common.parameter_memory, &common.own_gradients,
                               &common.quantized.memory, &common.pass_memory}) {
    *arena = tensor::Arena(numbers.device);
  }
  std::visit([&](auto& typed) { lay_out_parameters(typed, quantization, part, parts); },
             state_->typed);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

DecoderCore& Decoder::core() { return state_->core(); }

const DecoderCore& Decoder::core() const { return state_->core(); }

const DecoderConfig& Decoder::config() const { return core().whole; }

const DecoderRanks& Decoder::ranks() const { return core().ranks; }

const Numbers& Decoder::numbers() const { return core().numbers; }

bool Decoder::gathers_layers() const { return core().shards != nullptr; }

std::span<Parameter> Decoder::parameters() { return core().list; }

std::span<const Parameter> Decoder::parameters() const { return core().list; }

const Quantization& Decoder::quantization() const { return core().quantized.options; }

void Decoder::load(const std::function<void(const Parameter&, std::span<float>)>& read) {
  const auto one_by_one = [](std::size_t count, const std::function<void(std::size_t)>& body) {
    for (std::size_t i = 0; i < count; ++i) body(i);
  };
  if (core().shards) {
    core().shards->load(read);
  } else {
    fill_parameters(core(), one_by_one, [&](std::size_t index, std::span<float> values) {
      read(core().list[index], values);
    });
  }
  if (quantization().format) {
    std::visit([&](auto& typed) { load_quantized(typed, read); }, state_->typed);
  }
  meet(core());
}

void Decoder::read_merged(std::size_t index, std::span<float> values) const {
  std::visit([&](const auto& typed) { model::read_merged(typed, index, values); }, state_->typed);
}

void Decoder::read_whole(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = core().list.at(index);
  if (!parameter.part.is_cut()) return read_merged(index, values);
  std::size_t elements = 1;
  for (const std::int64_t size : parameter.shape) elements *= static_cast<std::size_t>(size);
  std::vector<float> mine(elements);
  read_merged(index, mine);
  gather_whole(*core().ranks.tensor, parameter.part, mine, values);
}

void Decoder::read_whole_adapter(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = trainable()[index];
  if (!parameter.part.is_cut()) return tensor::read(parameter.stored, values);
  std::vector<float> mine(parameter.elements());
  tensor::read(parameter.stored, mine);
  gather_whole(*core().ranks.tensor, parameter.part, mine, values);
}

void Decoder::attach_lora(const LoraConfig& lora, std::uint64_t seed) {
  std::visit([&](auto& typed) { model::attach_lora(typed, lora, seed); }, state_->typed);
}

const LoraConfig* Decoder::lora() const { return core().lora ? &core().lora->config : nullptr; }

std::span<Parameter> Decoder::trainable() { return core().lora ? core().lora->list : core().list; }

std::span<const Parameter> Decoder::trainable() const {
  return core().lora ? core().lora->list : core().list;
}

void Decoder::initialize(std::uint64_t seed) {
  NATIVO_CHECK(!quantization().format, "a model that starts from nothing is trained whole");
  const double residual = 1.0 / std::sqrt(2.0 * static_cast<double>(core().config.layers));
  const auto at_once = [](std::size_t count, const std::function<void(std::size_t)>& body) {
    parallel_for(count, body);
  };
  fill_parameters(core(), at_once, [&](std::size_t index, std::span<float> values) {
    const Parameter& parameter = core().list[index];
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
  meet(core());
}

void Decoder::enable_gradients(GradientMemory memory, std::span<std::byte> place) {
  if (core().has_gradients) return;
  core().has_gradients = true;
  if (core().lora) {
    if (!place.empty()) core().lora->gradients.adopt(place);
    std::visit([](auto& typed) { enable_lora_gradients(typed); }, state_->typed);
    return;
  }
  NATIVO_CHECK(!quantization().format, "quantised weights are trained through LoRA only");
  core().gradient_memory = memory;
  core().gradients_are_zero = true;
  if (memory == GradientMemory::kApart && !place.empty()) core().own_gradients.adopt(place);
  std::visit(
      [&]<class T>(TypedCore<T>& typed) {
        if (memory != GradientMemory::kApart) return bind_gradients(typed, {});
        bind_gradients(typed, model_tensors(typed.config, {},
                                            reserve_parameters<T>(typed.own_gradients, typed.config,
                                                                  {}, "gradients")));
      },
      state_->typed);
}

void Decoder::zero_gradients() {
  core().gradients_are_zero = true;
  (core().lora ? core().lora->gradients : core().own_gradients).zero();
}

LossSum Decoder::forward(const Batch& batch) {
  return std::visit(
      [&](auto& typed) {
        DecoderPass pass(typed, batch, nullptr);
        return sum_losses(score_targets(pass, false).log_prob);
      },
      state_->typed);
}

void Decoder::attend_forward() { model::attend(core(), nullptr); }

void Decoder::attend_forward_backward(const StepOptions& options) {
  model::attend(core(), &options);
}

LossSum Decoder::forward_backward(const Batch& batch, const StepOptions& options) {
  NATIVO_CHECK(core().has_gradients, "forward_backward before enable_gradients");
  NATIVO_CHECK(options.log_prob.empty() || options.log_prob.size() == batch.tokens.size(),
               "forward_backward: log_prob is not [B,T]");
  NATIVO_CHECK(!lie_in_pass(core().gradient_memory) || core().gradients_are_zero,
               "gradients that share memory do not accumulate");
  core().gradients_are_zero = false;
  return std::visit(
      [&](auto& typed) {
        DecoderPass pass(typed, batch, &options);
        if (pass.prepared().target.empty()) {
          pass.attend();
          spread_log_prob({}, pass.prepared(), options.log_prob);
          return LossSum{};
        }
        pass.run_layers();
        return pass.run_backward();
      },
      state_->typed);
}

DecoderMemory Decoder::memory() const {
  DecoderMemory memory;
  memory.parameters = core().shards ? core().shards->bytes() : core().parameter_memory.capacity();
  memory.quantized_parameters = core().quantized.memory.capacity();
  memory.gradients = core().own_gradients.capacity();
  memory.pass = core().pass_memory.capacity();
  if (core().offloaded_inputs) memory.host = core().offloaded_inputs->host_bytes();
  if (core().lora) {
    memory.adapters = core().lora->values.capacity();
    memory.gradients = core().lora->gradients.capacity();
  }
  return memory;
}

TokenScores Decoder::score(const Batch& batch) {
  TokenScores scores;
  scores.log_prob.resize(batch.tokens.size());
  scores.argmax.assign(batch.tokens.size(), -1);
  std::visit(
      [&](auto& typed) {
        DecoderPass pass(typed, batch, nullptr);
        const TargetResults results = score_targets(pass, true);
        spread_log_prob(results.log_prob, pass.prepared(), scores.log_prob);
        const std::vector<std::int32_t>& rows = pass.prepared().target_row;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          scores.argmax[static_cast<std::size_t>(rows[i])] = results.argmax[i];
        }
      },
      state_->typed);
  return scores;
}

std::vector<float> Decoder::logits(const Batch& batch) {
  Batch every = batch;
  std::fill(every.targets.begin(), every.targets.end(), 0);
  const std::int64_t width = core().config.vocab_size;
  std::vector<float> all(batch.tokens.size() * static_cast<std::size_t>(width), 0.0F);
  std::visit(
      [&]<class T>(TypedCore<T>& typed) {
        DecoderPass<T> pass(typed, every, nullptr);
        const std::span<const std::int32_t> rows(pass.prepared().target_row);
        if (rows.empty()) return pass.attend();
        pass.run_layers();
        std::vector<float> chunk;
        pass.for_logits([&](std::size_t first, tensor::View<T> logits) {
          chunk.resize(static_cast<std::size_t>(logits.elements()));
          tensor::read(tensor::View<T>(logits.data(), {logits.elements()}, logits.device()), chunk);
          for (std::int64_t i = 0; i < logits.size(0); ++i) {
            std::copy_n(chunk.begin() + i * width, width,
                        all.begin() + rows[first + static_cast<std::size_t>(i)] * width);
          }
        });
      },
      state_->typed);
  return all;
}

}  // namespace nativo::model
