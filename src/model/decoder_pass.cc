#include "model/decoder_pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <variant>

#include "base/error.h"
#include "model/layer_shards.h"
#include "model/lora.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/noise.h"
#include "ops/rmsnorm.h"

namespace nativo::model {
namespace {

const LoraConfig* lora_of(const DecoderCore& core) {
  return core.lora ? &core.lora->config : nullptr;
}

/// The layer that is needed next, on the way up and on the way down.
std::optional<std::int64_t> layer_above(std::int64_t layer, std::int64_t layers) {
  return layer + 1 < layers ? std::optional(layer + 1) : std::nullopt;
}
std::optional<std::int64_t> layer_below(std::int64_t layer, std::int64_t lowest) {
  return layer > lowest ? std::optional(layer - 1) : std::nullopt;
}

template <class T>
Workspace<T> workspace_for(TypedCore<T>& core, const Batch& batch, const StepOptions* options) {
  PassShape shape{.rows = batch.rows,
                  .length = batch.length,
                  .training = options != nullptr,
                  .device = core.numbers.device};
  if (options != nullptr) {
    shape.recompute = options->recompute;
    shape.gradients = core.gradient_memory;
    shape.offload_inputs = options->offload_inputs;
    shape.first_trained_layer = first_trained_layer(lora_of(core));
  }
  const LinearScratch scratch = linear_scratch(core.config, core.quantized.options, lora_of(core),
                                               batch.rows * batch.length, core.numbers);
  return make_workspace<T>(core.config, scratch, shape, core.pass_memory);
}

}  // namespace

template <class T>
DecoderPass<T>::DecoderPass(TypedCore<T>& core, const Batch& batch, const StepOptions* options)
    : core_(core),
      batch_(batch),
      options_(options),
      prepared_(prepare_batch(core.config, batch)),
      context_{.config = core.config,
               .rows = batch.rows,
               .length = batch.length,
               .rope = {},
               .linear = {},
               .tensor_ranks = core.ranks.tensor} {
  const bool shares = lie_in_pass(core_.gradient_memory);
  if (shares) bind_gradients(core, {});
  // Without targets there is nothing to compute, but gradients to be zero.
  if (prepared_.target_row.empty() && (options == nullptr || !shares)) return;
  core.rope.grow(core.config, prepared_.positions, core.numbers.device);
  core.tables.place(batch, prepared_, core.numbers.device);
  context_.positions = core.tables.positions;
  context_.rope = core.rope.tables();
  work_ = workspace_for(core, batch, options);
  context_.linear = work_.linear;
  if (options == nullptr) return;
  if (options->offload_inputs) prepare_offload();
  if (core.lora) {
    context_.linear.dropout = {core.lora->config.dropout, batch.noise.seed, batch.noise.step,
                               batch.noise.first_row, batch.rows};
  }
  if (!shares) return;
  bind_gradients(core, work_.gradients);
  if (!prepared_.target_row.empty()) return;
  for (std::int64_t layer = -1; layer <= core.config.layers; ++layer) start_gradients(layer);
}

template <class T>
void DecoderPass<T>::start_gradients(std::int64_t layer) {
  if (core_.gradient_memory == GradientMemory::kLent) {
    return bind_layer_gradients<T>(core_, layer,
                                   std::get<tensor::View<T>>(options_->layer_gradients(layer)));
  }
  if (!lie_in_pass(core_.gradient_memory)) return;
  visit_tensors(core_.config, {}, core_.gradients,
                [&](tensor::View<T>& view, const tensor::Shape&, std::int64_t at) {
                  if (at == layer) ops::set_zero(view);
                });
}

/// Document by document; padding gets none.
template <class T>
void DecoderPass<T>::add_neftune_noise(tensor::View<T> x) const {
  const std::int64_t width = x.size(1);
  for (std::int64_t row = 0; row < batch_.rows; ++row) {
    const auto document = [&, first = row * batch_.length](std::int64_t t) {
      return batch_.documents[static_cast<std::size_t>(first + t)];
    };
    std::int64_t end = 0;
    for (std::int64_t begin = 0; begin < batch_.length; begin = end) {
      end = begin + 1;
      while (end < batch_.length && document(end) == document(begin)) ++end;
      if (document(begin) < 0) continue;
      const double magnitude =
          options_->neftune_alpha / std::sqrt(static_cast<double>((end - begin) * width));
      ops::add_uniform_noise(x.rows(row * batch_.length + begin, end - begin),
                             ops::row_key(batch_.noise.seed, batch_.noise.step, 0,
                                          batch_.noise.first_row + row, begin, width),
                             static_cast<float>(magnitude));
    }
  }
}

template <class T>
const LayerWeights<T>& DecoderPass<T>::layer_weights(std::int64_t layer,
                                                     std::optional<std::int64_t> next) {
  if (core_.shards) core_.shards->gather(layer, next);
  return core_.parameters.layers[static_cast<std::size_t>(layer)];
}

template <class T>
void DecoderPass<T>::prepare_offload() {
  NATIVO_CHECK(core_.numbers.device.is_cuda() && options_->recompute == Recompute::kBlock,
               "a GPU offloads inputs where nothing else is kept");
  const std::int64_t first = first_trained_layer(lora_of(core_));
  const std::size_t each = static_cast<std::size_t>(batch_.rows * batch_.length) *
                           static_cast<std::size_t>(core_.config.hidden_size) * sizeof(T);
  const std::size_t bytes = static_cast<std::size_t>(core_.config.layers - first) * each;
  std::unique_ptr<OffloadedInputs>& inputs = core_.offloaded_inputs;
  if (!inputs || inputs->host_bytes() < bytes) {
    tensor::synchronize(core_.numbers.device);  // the old ones may still be on their way
    inputs.reset();
    inputs = std::make_unique<OffloadedInputs>(core_.numbers.device, bytes);
  }
  inputs->begin(first, each);
}

template <class T>
bool DecoderPass<T>::is_offloaded(std::int64_t layer) const {
  return options_ != nullptr && options_->offload_inputs && layer >= 0 &&
         layer < core_.config.layers && layer >= first_trained_layer(lora_of(core_));
}

template <class T>
void DecoderPass<T>::fetch_input(std::int64_t layer) {
  if (!is_offloaded(layer)) return;
  core_.offloaded_inputs->fetch(
      layer, work_.layers[static_cast<std::size_t>(layer)].backward.input.data());
}

template <class T>
void DecoderPass<T>::attend() {
  model::attend(core_, options_);
}

template <class T>
void DecoderPass<T>::run_layers() {
  if (core_.shards) core_.shards->begin_pass();
  const tensor::View<T> x = work_.layers.front().forward.input;
  ops::embedding_forward(core_.parameters.embedding, core_.tables.tokens, x);
  if (options_ != nullptr && options_->neftune_alpha > 0.0) add_neftune_noise(x);
  const std::int64_t layers = core_.config.layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto index = static_cast<std::size_t>(layer);
    context_.first_key = core_.tables.visible(core_.config, layer);
    if (is_offloaded(layer - 1)) core_.offloaded_inputs->settle();
    if (is_offloaded(layer)) {
      core_.offloaded_inputs->send(layer, work_.layers[index].forward.input.data());
    }
    block_forward(context_, layer_weights(layer, layer_above(layer, layers)),
                  work_.layers[index].forward,
                  layer + 1 == layers ? work_.output : work_.layers[index + 1].forward.input);
  }
}

template <class T>
void DecoderPass<T>::for_logits(const LogitsBody& body) {
  const std::span<const std::int32_t> rows = core_.tables.target_row;
  const auto chunk = static_cast<std::size_t>(work_.logits.size(0));
  for (std::size_t first = 0; first < rows.size(); first += chunk) {
    const std::size_t size = std::min(chunk, rows.size() - first);
    const auto count = static_cast<std::int64_t>(size);
    const tensor::View<T> normed = work_.gathered_norm.rows(0, count);
    ops::gather_rows(work_.output, rows.subspan(first, size), work_.gathered.rows(0, count));
    ops::rmsnorm_forward(work_.gathered.rows(0, count), core_.parameters.final_norm,
                         static_cast<float>(core_.config.rms_norm_eps), normed,
                         work_.gathered_rstd.rows(0, count));
    const tensor::View<T> logits = work_.logits.rows(0, count);
    ops::linear_forward(normed, core_.parameters.head, logits);
    body(first, logits);
  }
}

template <class T>
void DecoderPass<T>::head_backward(std::size_t first, tensor::View<T> dlogits) {
  const std::int64_t count = dlogits.size(0);
  const tensor::View<T> normed = work_.gathered_norm.rows(0, count);
  const tensor::View<T> dnormed = work_.dnormed.rows(0, count);
  ops::linear_backward_input(dlogits, core_.parameters.head, dnormed, ops::Write::kOverwrite);
  if (!core_.lora) ops::linear_backward_weight(dlogits, normed, core_.gradients.head);
  // The norm's gradient lands where the normed rows were: nobody needs those any more.
  ops::set_zero(normed);
  ops::rmsnorm_backward(
      dnormed, work_.gathered.rows(0, count), core_.parameters.final_norm,
      work_.gathered_rstd.rows(0, count), normed, core_.gradients.final_norm,
      work_.norm_partial.rows(0, ops::rmsnorm_partial_rows(count, core_.numbers.device)));
  ops::scatter_rows(normed, core_.tables.target_row.subspan(first, static_cast<std::size_t>(count)),
                    work_.dx);
}

template <class T>
LossSum DecoderPass<T>::run_backward() {
  const std::int64_t layers = core_.config.layers;
  start_gradients(layers);
  if (core_.config.tie_embeddings) start_gradients(-1);
  if (is_offloaded(layers - 1)) core_.offloaded_inputs->settle();
  fetch_input(layers - 1);
  ops::set_zero(work_.dx);
  for_logits([&](std::size_t first, tensor::View<T> logits) {
    const auto size = static_cast<std::size_t>(logits.size(0));
    ops::cross_entropy_forward_backward(
        logits, core_.tables.target.subspan(first, size),
        {options_->scale, options_->z_loss, options_->label_smoothing},
        core_.tables.log_prob.subspan(first, size), core_.tables.loss.subspan(first, size));
    head_backward(first, logits);
  });

  const bool frozen = core_.lora.has_value();  // all but the adapters
  const auto done = [&](std::int64_t layer) {
    if (options_->layer_done) options_->layer_done(layer);
  };
  if (!frozen) done(layers);
  const std::int64_t lowest = first_trained_layer(lora_of(core_));
  for (std::int64_t layer = layers; layer-- > lowest;) {
    const auto index = static_cast<std::size_t>(layer);
    const LayerWeights<T>& weights = layer_weights(layer, layer_below(layer, lowest));
    const LayerMemory<T>& memory = work_.layers[index];
    context_.first_key = core_.tables.visible(core_.config, layer);
    fetch_input(layer - 1);
    if (is_offloaded(layer)) core_.offloaded_inputs->await(layer);
    block_again(context_, weights, memory, options_->recompute);
    start_gradients(layer);
    block_backward(context_, weights, core_.gradients.layers[index], memory,
                   {options_->recompute, !frozen || layer > lowest}, work_.dx);
    done(layer);
  }
  if (!frozen) {
    if (!core_.config.tie_embeddings) start_gradients(-1);
    ops::embedding_backward(work_.dx, core_.tables.tokens, core_.gradients.embedding);
    done(-1);
  }
  const TargetResults results = core_.tables.results();
  if (!options_->log_prob.empty()) spread_log_prob(results.log_prob, prepared_, options_->log_prob);
  LossSum sum = sum_losses(results.log_prob);
  sum.objective = std::accumulate(results.loss.begin(), results.loss.end(), 0.0);
  return sum;
}

void attend(DecoderCore& core, const StepOptions* options) {
  if (!core.shards) return;
  const std::int64_t layers = core.config.layers;
  core.shards->begin_pass();
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    core.shards->gather(layer, layer_above(layer, layers));
  }
  if (options == nullptr) return;
  const bool frozen = core.lora.has_value();
  const auto done = [&](std::int64_t layer) {
    if (options->layer_done) options->layer_done(layer);
  };
  if (!frozen) done(layers);
  const std::int64_t lowest = first_trained_layer(lora_of(core));
  for (std::int64_t layer = layers; layer-- > lowest;) {
    core.shards->gather(layer, layer_below(layer, lowest));
    done(layer);
  }
  if (!frozen) done(-1);
}

LossSum sum_losses(std::span<const double> log_prob) {
  LossSum sum;
  for (const double value : log_prob) sum.loss -= value;
  sum.objective = sum.loss;
  sum.targets = static_cast<std::int64_t>(log_prob.size());
  return sum;
}

void spread_log_prob(std::span<const double> log_prob, const PreparedBatch& prepared,
                     std::span<float> all) {
  std::fill(all.begin(), all.end(), 0.0F);
  for (std::size_t i = 0; i < log_prob.size(); ++i) {
    all[static_cast<std::size_t>(prepared.target_row[i])] = static_cast<float>(log_prob[i]);
  }
}

template class DecoderPass<float>;
template class DecoderPass<tensor::bf16>;

}  // namespace nativo::model
