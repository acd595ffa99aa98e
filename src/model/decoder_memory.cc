// When each tensor of a pass is needed. See the header.
#include "model/decoder_memory.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "ops/attention.h"
#include "ops/rmsnorm.h"

namespace nativo::model {
namespace {

using tensor::Lifetime;
using tensor::Shape;

/// The operations of block_forward, in order.
enum ForwardStep { kInputs, kAttention, kMiddle, kGateUp, kActivation, kOutput, kForwardSteps };

/// The operations of block_backward: first what is computed again, then the gradients.
enum BackwardStep {
  kInputsAgain,
  kAttentionAgain,
  kMiddleAgain,
  kGateUpAgain,
  kDAct,
  kDSwiglu,
  kDDownWeight,
  kDGateUpWeight,
  kDNormed2,
  kDMiddle,
  kDAttention,
  kDOutputWeight,
  kDQkv,
  kDQkvWeight,
  kDNormed1,
  kDInput,
  kBackwardSteps
};

/// Blocks of rows that norms sum in; chunks of whole blocks leave the bits of those sums alone.
constexpr std::int64_t kRowBlock = 64;

template <class T>
class Builder {
 public:
  Builder(const DecoderConfig& config, const LinearScratch& scratch, const PassShape& shape)
      : config_(config), scratch_(scratch), shape_(shape), tokens_(shape.rows * shape.length) {
    work_.layers.resize(static_cast<std::size_t>(config.layers));
    for (std::int64_t layer = 0; layer < config.layers; ++layer) plan_layer(layer);
    plan_head();
    if (lie_in_pass(shape.gradients)) plan_gradients();
    plan_.place();
  }

  PassPlan plan() && { return {std::move(plan_), {0, head() - 1}, {head(), end()}}; }

  Workspace<T> lay_out(tensor::Arena& arena) {
    arena.reserve(plan_.bytes(), shape_.training ? "the activations of a training batch"
                                                 : "the activations of a batch");
    for (const auto& [view, tensor] : views_) {
      std::visit([&](auto* to) { set(*to, arena, plan_.slot(tensor)); }, view);
    }
    if (config_.tie_embeddings) work_.gradients.head = work_.gradients.embedding;
    return std::move(work_);
  }

 private:
  /// A view to fill: of the model's numbers, of statistics, which are f32, or of codes.
  using AnyView = std::conditional_t<
      std::is_same_v<T, float>, std::variant<tensor::View<float>*, tensor::View<std::uint8_t>*>,
      std::variant<tensor::View<float>*, tensor::View<T>*, tensor::View<std::uint8_t>*>>;
  template <class U>
  static void set(tensor::View<U>& view, const tensor::Arena& arena,
                  const tensor::ArenaPlan::Slot& slot) {
    view = arena.view<U>(slot);
  }

  [[nodiscard]] std::int64_t forward(std::int64_t layer, int step) const {
    return 1 + layer * kForwardSteps + step;  // the embedding comes first
  }
  [[nodiscard]] std::int64_t head() const { return forward(config_.layers, 0); }
  [[nodiscard]] std::int64_t backward(std::int64_t layer, int step) const {
    return head() + 1 + (config_.layers - 1 - layer) * kBackwardSteps + step;
  }
  /// The embedding's gradient.
  [[nodiscard]] std::int64_t end() const { return head() + 1 + config_.layers * kBackwardSteps; }

  template <class U>
  tensor::LifetimePlan::Handle add(const char* purpose, tensor::View<U>& view, const Shape& shape,
                                   const Lifetime& lifetime) {
    const auto tensor = plan_.add<U>(purpose, shape, lifetime);
    views_.emplace_back(&view, tensor);
    return tensor;
  }

  /// A tensor of the forward pass, [first, last] there, that the backward pass wants in [again,
  /// until]: kept, or made anew by then where `rung` is reached.
  template <class U>
  void activation(std::int64_t layer, tensor::View<U> LayerActivations<T>::*view,
                  const Shape& shape, int first, int last, Recompute rung, int again, int until) {
    LayerMemory<T>& memory = work_.layers[static_cast<std::size_t>(layer)];
    // A layer's input is the output of the one before it, or the embedding.
    const std::int64_t born = first >= 0  ? forward(layer, first)
                              : layer > 0 ? forward(layer - 1, kOutput)
                                          : 0;
    const bool wanted = is_trained(layer);
    const bool kept = wanted && shape_.recompute < rung;
    const auto tensor = add("activations", memory.forward.*view, shape,
                            {born, kept ? backward(layer, until) : forward(layer, last)});
    if (kept) {
      views_.emplace_back(&(memory.backward.*view), tensor);
    } else if (wanted) {
      add("activations", memory.backward.*view, shape,
          {backward(layer, again), backward(layer, until)});
    }
  }

  [[nodiscard]] bool is_trained(std::int64_t layer) const {
    return shape_.training && layer >= shape_.first_trained_layer;
  }
  [[nodiscard]] bool recomputes(Recompute rung) const { return shape_.recompute >= rung; }

  /// The input of a layer whose memory is another's between the two halves of the pass: it is sent
  /// away while the layer runs, and comes back while the layer above is on its way down.
  void offloaded_input(std::int64_t layer, const Shape& shape) {
    LayerMemory<T>& memory = work_.layers[static_cast<std::size_t>(layer)];
    const std::int64_t born = layer > 0 ? forward(layer - 1, kOutput) : 0;
    add("activations", memory.forward.input, shape, {born, forward(layer, kOutput)});
    const std::int64_t fetched =
        layer + 1 < config_.layers ? backward(layer + 1, kInputsAgain) : head();
    add("activations", memory.backward.input, shape, {fetched, backward(layer, kDInput)});
  }

  void plan_layer(std::int64_t layer) {
    using A = LayerActivations<T>;
    const auto always = static_cast<Recompute>(kRecomputeNames.size());  // no rung goes so far
    const Shape narrow{tokens_, config_.hidden_size};
    const Shape rstd{tokens_};
    if (shape_.offload_inputs && is_trained(layer)) {
      offloaded_input(layer, narrow);
    } else {
      activation(layer, &A::input, narrow, -1, kGateUp, always, 0, kDInput);
    }
    activation(layer, &A::rstd1, rstd, kInputs, kInputs, always, 0, kDInput);
    activation(layer, &A::normed1, narrow, kInputs, kInputs, Recompute::kNorms, kDQkvWeight,
               kDQkvWeight);
    if (config_.has_qk_norm()) {
      const std::int64_t heads = config_.heads + config_.kv_heads;
      activation(layer, &A::qk, {tokens_, heads * config_.head_dim}, kInputs, kInputs,
                 Recompute::kAttention, kInputsAgain, kDQkvWeight);
      activation(layer, &A::qk_rstd, {tokens_, heads}, kInputs, kInputs, Recompute::kAttention,
                 kInputsAgain, kDQkvWeight);
    }
    activation(layer, &A::qkv, {tokens_, config_.qkv_width()}, kInputs, kAttention,
               Recompute::kAttention, kInputsAgain, kDQkv);
    activation(layer, &A::attention, {tokens_, config_.q_width()}, kAttention, kMiddle,
               Recompute::kAttention, kAttentionAgain, kDQkv);
    activation(layer, &A::lse, {tokens_, config_.heads}, kAttention, kAttention,
               Recompute::kAttention, kAttentionAgain, kDQkv);
    activation(layer, &A::middle, narrow, kMiddle, kOutput, Recompute::kBlock, kMiddleAgain,
               kDMiddle);
    activation(layer, &A::rstd2, rstd, kGateUp, kGateUp, always, 0, kDMiddle);
    activation(layer, &A::normed2, narrow, kGateUp, kGateUp, Recompute::kNorms, kDGateUpWeight,
               kDGateUpWeight);
    activation(layer, &A::gate_up, {tokens_, 2 * config_.intermediate_size}, kGateUp, kActivation,
               Recompute::kFeedForward, kGateUpAgain, kDNormed2);
    plan_scratch(layer);
  }

  void plan_scratch(std::int64_t layer) {
    LayerMemory<T>& memory = work_.layers[static_cast<std::size_t>(layer)];
    LayerScratch<T>& scratch = memory.scratch;
    const Shape narrow{tokens_, config_.hidden_size};
    const Shape act{tokens_, config_.intermediate_size};
    const Shape attention{ops::attention_workspace(
        {shape_.rows, shape_.length, config_.heads, config_.kv_heads, config_.head_dim},
        shape_.device)};
    const auto scratch_of = [&](auto& view, const Shape& shape, int first, int last) {
      add("scratch", view, shape, {backward(layer, first), backward(layer, last)});
    };
    add("scratch", memory.forward.attention_scratch, attention,
        {forward(layer, kAttention), forward(layer, kAttention)});
    const bool trained = is_trained(layer);
    const bool keeps_act = trained && !recomputes(Recompute::kActivation);
    add("activations", memory.forward.act, act,
        {forward(layer, kActivation),
         keeps_act ? backward(layer, kDDownWeight) : forward(layer, kOutput)});
    if (!trained) return;
    if (keeps_act) views_.emplace_back(&memory.backward.act, views_.back().second);
    if (recomputes(Recompute::kAttention)) {
      scratch_of(scratch.normed1_again, narrow, kInputsAgain, kInputsAgain);
      scratch_of(memory.backward.attention_scratch, attention, kAttentionAgain, kAttentionAgain);
    }
    if (recomputes(Recompute::kFeedForward)) {
      scratch_of(scratch.normed2_again, narrow, kGateUpAgain, kGateUpAgain);
    }
    const Shape partial{ops::rmsnorm_partial_rows(tokens_, shape_.device), config_.hidden_size};
    scratch_of(scratch.dact, act, kDAct, kDDownWeight);
    scratch_of(scratch.dnormed2, narrow, kDNormed2, kDMiddle);
    scratch_of(scratch.norm_partial2, partial, kDMiddle, kDMiddle);
    scratch_of(scratch.dattention, {tokens_, config_.q_width()}, kDAttention, kDQkv);
    scratch_of(scratch.attention_scratch, attention, kDQkv, kDQkv);
    scratch_of(scratch.dqkv, {tokens_, config_.qkv_width()}, kDQkv, kDNormed1);
    if (config_.has_qk_norm()) {
      scratch_of(scratch.head_norm_partial,
                 {ops::rmsnorm_heads_partial_rows(tokens_, config_.heads, shape_.device),
                  config_.head_dim},
                 kDQkvWeight, kDQkvWeight);
    }
    scratch_of(scratch.dnormed1, narrow, kDNormed1, kDInput);
    scratch_of(scratch.norm_partial1, partial, kDInput, kDInput);
  }

  void plan_head() {
    const Lifetime now{head(), head()};
    const Lifetime whole{0, end()};
    const std::int64_t chunk = logits_chunk(config_, tokens_, shape_.device);
    const Shape narrow{chunk, config_.hidden_size};
    add("activations", work_.output, {tokens_, config_.hidden_size},
        {forward(config_.layers - 1, kOutput), head()});
    add("scratch", work_.gathered, narrow, now);
    add("scratch", work_.gathered_norm, narrow, now);
    add("scratch", work_.gathered_rstd, {chunk}, now);
    add("logits", work_.logits, {chunk, config_.vocab_size}, now);
    add("scratch", work_.linear.panel, {scratch_.panel}, whole);
    add("scratch", work_.linear.hidden, {scratch_.hidden}, whole);
    if (scratch_.fp8.left > 0) {
      add("scratch", work_.linear.fp8.left, {scratch_.fp8.left}, whole);
      add("scratch", work_.linear.fp8.right, {scratch_.fp8.right}, whole);
      add("scratch", work_.linear.fp8.numbers, {ops::kFp8Numbers}, whole);
    }
    if (!shape_.training) return;
    add("scratch", work_.linear.dropped, {scratch_.dropped}, whole);
    add("scratch", work_.dnormed, narrow, now);
    add("scratch", work_.norm_partial,
        {ops::rmsnorm_partial_rows(chunk, shape_.device), config_.hidden_size}, now);
    add("scratch", work_.dx, {tokens_, config_.hidden_size}, {head(), end()});
  }

  /// From where a layer's gradients are zeroed: to the end, where the optimizer comes after the
  /// pass, or until the layer is done.
  void plan_gradients() {
    visit_tensors(config_, {}, work_.gradients,
                  [&](tensor::View<T>& view, const Shape& shape, std::int64_t layer) {
                    const bool embedding = layer < 0 && !config_.tie_embeddings;
                    const std::int64_t born = embedding                 ? end()
                                              : layer < 0               ? head()
                                              : layer == config_.layers ? head()
                                                                        : backward(layer, kDAct);
                    const bool above = layer == config_.layers;
                    const std::int64_t done = shape_.gradients == GradientMemory::kShared ? end()
                                              : above                                     ? head()
                                              : layer < 0                                 ? end()
                                                          : backward(layer, kDInput);
                    add("gradients", view, shape, {born, done});
                  });
  }

  const DecoderConfig& config_;
  const LinearScratch& scratch_;
  const PassShape& shape_;
  std::int64_t tokens_;
  tensor::LifetimePlan plan_;
  Workspace<T> work_;
  /// Each view to fill, with its tensor; they stay where they are until lay_out().
  std::vector<std::pair<AnyView, tensor::LifetimePlan::Handle>> views_;
};

}  // namespace

std::int64_t first_trained_layer(const LoraConfig* lora) {
  if (lora == nullptr || lora->modules.empty()) return 0;
  return lora->modules.front().layer;  // ascending
}

std::int64_t logits_chunk(const DecoderConfig& config, std::int64_t rows,
                          const tensor::Device& device) {
  // A GPU's products want many rows to fill it.
  const std::int64_t logits = std::int64_t{device.is_cuda() ? 128 : 8} << 20;
  const std::int64_t most = device.is_cuda() ? 4096 : 512;
  const std::int64_t fit = logits / config.vocab_size / kRowBlock * kRowBlock;
  return std::min(rows, std::clamp(fit, kRowBlock, most));
}

std::size_t offloaded_bytes(const DecoderConfig& config, tensor::DType type,
                            const PassShape& shape) {
  const std::int64_t layers = config.layers - shape.first_trained_layer;
  return static_cast<std::size_t>(layers * shape.rows * shape.length * config.hidden_size) *
         tensor::dtype_size(type);
}

template <class T>
PassPlan plan_pass(const DecoderConfig& config, const LinearScratch& scratch,
                   const PassShape& shape) {
  return Builder<T>(config, scratch, shape).plan();
}

template <class T>
Workspace<T> make_workspace(const DecoderConfig& config, const LinearScratch& scratch,
                            const PassShape& shape, tensor::Arena& arena) {
  return Builder<T>(config, scratch, shape).lay_out(arena);
}

template PassPlan plan_pass<float>(const DecoderConfig&, const LinearScratch&, const PassShape&);
template Workspace<float> make_workspace(const DecoderConfig&, const LinearScratch&,
                                         const PassShape&, tensor::Arena&);

template PassPlan plan_pass<tensor::bf16>(const DecoderConfig&, const LinearScratch&,
                                          const PassShape&);
template Workspace<tensor::bf16> make_workspace(const DecoderConfig&, const LinearScratch&,
                                                const PassShape&, tensor::Arena&);

}  // namespace nativo::model
