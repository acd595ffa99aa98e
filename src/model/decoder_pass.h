// One batch on its way through a decoder: embedding, layers, head and, in training, back again.
// Not here: one layer (model/decoder_block.h), parameters (model/decoder.cc). Not for other
// folders. Rule: only rows with a target go through the head, a chunk at a time.
#pragma once

#include <functional>
#include <optional>

#include "model/decoder_batch.h"
#include "model/decoder_block.h"
#include "model/decoder_memory.h"
#include "model/decoder_state.h"

namespace nativo::model {

/// T is the type of the numbers: float, or bf16 on a GPU.
template <class T>
class DecoderPass {
 public:
  /// Checks the batch and, if it has a target, lays out the memory; a pass without targets computes
  /// nothing. All three arguments outlive the pass; `options` null = forward only. Gradients that
  /// share this memory are void from here on. Throws as prepare_batch and Arena::reserve.
  DecoderPass(TypedCore<T>& core, const Batch& batch, const StepOptions* options);

  [[nodiscard]] const PreparedBatch& prepared() const { return prepared_; }

  /// Embedding and layers.
  void run_layers();

  /// Of a batch without targets, instead of all that follows; see model::attend().
  void attend();

  /// Where the targets lie for the ops, and their results; see BatchTables.
  [[nodiscard]] BatchTables& tables() { return core_.tables; }

  /// After run_layers(): body(first, logits) for each chunk of logits [n,V], those of the targets
  /// first .. first + n - 1.
  using LogitsBody = std::function<void(std::size_t first, tensor::View<T> logits)>;
  void for_logits(const LogitsBody& body);

  /// After run_layers(), in training: loss and gradients.
  [[nodiscard]] LossSum run_backward();

 private:
  /// The weights of a layer, whole until the next call, which is for `next` (if there is one).
  [[nodiscard]] const LayerWeights<T>& layer_weights(std::int64_t layer,
                                                     std::optional<std::int64_t> next);
  /// Zeroes the gradients of a layer (see visit_tensors) if they have just come to life, or
  /// borrows memory for them.
  void start_gradients(std::int64_t layer);
  /// With StepOptions::offload_inputs: memory on the host, and the way back from there.
  void prepare_offload();
  [[nodiscard]] bool is_offloaded(std::int64_t layer) const;
  void fetch_input(std::int64_t layer);
  void add_neftune_noise(tensor::View<T> x) const;
  void head_backward(std::size_t first, tensor::View<T> dlogits);

  TypedCore<T>& core_;
  const Batch& batch_;
  const StepOptions* options_;
  PreparedBatch prepared_;
  BlockContext<T> context_;
  Workspace<T> work_;
};

/// Takes part in a pass that other ranks compute, forward or (with options) there and back: hands
/// over parts of layers and calls options->layer_done as they do. Nothing where layers are whole.
void attend(DecoderCore& core, const StepOptions* options);

/// Sums of -log_prob.
[[nodiscard]] LossSum sum_losses(std::span<const double> log_prob);

/// all[target_row[i]] = log_prob[i], and 0 elsewhere.
void spread_log_prob(std::span<const double> log_prob, const PreparedBatch& prepared,
                     std::span<float> all);

}  // namespace nativo::model
