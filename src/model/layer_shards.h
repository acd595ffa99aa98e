// Layers of which every node, or every GPU, has parts (ZeRO stage 3; Rajbhandari et al.,
// arXiv:1910.02054, section 5.3): each rank keeps its part of every layer, and a layer is whole
// only while it is used, once on each node, or on each GPU. Places take turns: while one layer
// computes, the next is gathered in the background. Embedding, final norm and head are whole.
// Not here: when a pass needs which layer (model/decoder_pass.cc), memory of GPUs
// (model/gpu_layer_shards.h). Not for other folders.
// Rule: all ranks ask for the same layers in the same order, whether they compute or not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "dist/communicator.h"
#include "model/decoder.h"
#include "model/decoder_state.h"
#include "model/shards.h"
#include "tensor/sparse_memory.h"

namespace nativo::model {

/// The same wherever they lie.
class LayerShards {
 public:
  virtual ~LayerShards() = default;
  LayerShards(const LayerShards&) = delete;
  LayerShards& operator=(const LayerShards&) = delete;

  /// Runs body(0) .. body(count - 1), in any order and on any threads, or in theirs on this one.
  using RunAll = std::function<void(std::size_t count, const std::function<void(std::size_t)>&)>;
  /// Overwrites all parameters: make(index, values) gives all values of one, and is called on one
  /// rank of every node, or on every rank of GPUs. Collective.
  virtual void fill(const RunAll& run_all,
                    const std::function<void(std::size_t, std::span<float>)>& make) = 0;

  /// The same where each rank reads no more than what it keeps, and of what a node has whole its
  /// share: read(piece, values) gives the values of a piece of a parameter, whose `part` says where
  /// it lies in the whole one. Collective.
  using Read = std::function<void(const Parameter&, std::span<float>)>;
  virtual void load(const Read& read) = 0;

  /// values = all of parameter `index`. Collective.
  void read(std::size_t index, std::span<float> values) const;

  /// A pass begins: what was gathered before may be outdated.
  void begin_pass() { held_.reset(); }
  /// Makes the weights of `layer` whole until the next call; `next`, if there is one, is on its way
  /// when this returns, and must be what the next call asks for. Collective.
  void gather(std::int64_t layer, std::optional<std::int64_t> next);

  /// Whether ranks have parts of the parameter.
  [[nodiscard]] bool is_cut(const Parameter& parameter) const;
  /// Bytes of what this rank keeps, and of the places that it, or its node in common, has.
  [[nodiscard]] virtual std::size_t bytes() const = 0;

 protected:
  LayerShards(const DecoderConfig& config, dist::Communicator& ranks, std::size_t places)
      : config_(config), ranks_(ranks), places_(places) {}
  /// The list outlives this; its parameters have their sizes already.
  void share_out(std::vector<Parameter>& list);

  /// Begins to gather `bucket` into a place.
  virtual dist::Pending send(const Bucket& bucket, std::size_t place) = 0;
  /// The weights of `layer` are in a place now.
  virtual void point_to(std::int64_t layer, std::size_t place) = 0;

  [[nodiscard]] const DecoderConfig& config() const { return config_; }
  [[nodiscard]] dist::Communicator& ranks() const { return ranks_; }
  [[nodiscard]] std::vector<Parameter>& list() const { return *list_; }
  [[nodiscard]] const Shards& shards() const { return *shards_; }
  [[nodiscard]] const Bucket& bucket_of(std::int64_t layer) const;
  [[nodiscard]] const dist::Part& own_part(const Bucket& bucket) const {
    return bucket.parts[static_cast<std::size_t>(ranks_.rank())];
  }
  /// Numbers of all layers that this rank keeps.
  [[nodiscard]] std::size_t own_numbers() const;
  /// values = `piece` of a parameter.
  static void read_piece(const Parameter& parameter, const dist::Part& piece,
                         std::span<float> values, const Read& read);
  /// What `rank` keeps of parameter `index`, which is cut.
  [[nodiscard]] dist::Part kept(std::size_t index, int rank) const;

 private:
  void send_for(std::int64_t layer);

  DecoderConfig config_;
  dist::Communicator& ranks_;
  std::size_t places_;
  std::optional<Shards> shards_;  ///< of all parameters
  std::vector<Parameter>* list_ = nullptr;
  std::size_t turn_ = 0;              ///< gathers begun
  std::optional<std::int64_t> held_;  ///< in the place of the last gather that is over
  std::optional<std::int64_t> coming_;
  dist::Pending gather_;
};

/// Moves the weights of a layer, which begins at `from` now, to `memory`.
template <class T>
void move_layer(LayerWeights<T>& layer, const T* from, T* memory) {
  const auto move = [&](tensor::View<T>& view) {
    if (view.data() == nullptr) return;
    view = {memory + (view.data() - from), view.shape(), view.device()};
  };
  for (auto* view : {&layer.input_norm, &layer.q_norm, &layer.k_norm, &layer.post_norm}) {
    move(*view);
  }
  for (Linear<T>* linear : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down}) {
    move(linear->weight);
    move(linear->bias);
  }
}

/// Embedding, final norm and head, from `memory` on, in the order of the list's parameters.
template <class T>
void move_outer(const DecoderConfig& config, ModelWeights<T>& weights, T* memory) {
  const auto move = [&](tensor::View<T>& view) {
    view = {memory, view.shape(), view.device()};
    memory += view.shape().elements();
  };
  move(weights.embedding);
  move(weights.final_norm);
  config.tie_embeddings ? static_cast<void>(weights.head = weights.embedding) : move(weights.head);
}

/// Of the host: every node has a layer once while it is used.
class NodeLayerShards final : public LayerShards {
 public:
  /// Makes room for what this rank keeps, and for what its node has in common. Collective over
  /// `ranks`, which outlive this.
  NodeLayerShards(const DecoderConfig& config, dist::Communicator& ranks);

  /// Where the list of parameters and the weights are to lie: addresses for all of them, memory for
  /// those that are kept.
  [[nodiscard]] float* addresses() const;

  /// Moves embedding, final norm and head to where they are whole. Once; both outlive this.
  void bind(std::vector<Parameter>& list, ModelWeights<float>& weights);

  void fill(const RunAll& run_all,
            const std::function<void(std::size_t, std::span<float>)>& make) override;
  void load(const Read& read) override;
  [[nodiscard]] std::size_t bytes() const override;

 protected:
  dist::Pending send(const Bucket& bucket, std::size_t place) override;
  void point_to(std::int64_t layer, std::size_t place) override;

 private:
  static constexpr std::size_t kPlaces = 3;

  [[nodiscard]] bool is_mine(std::size_t index) const;
  void keep(const Bucket& bucket, const float* whole);

  tensor::SparseMemory own_;
  tensor::Arena outer_;                   ///< embedding, final norm, head
  std::array<float*, kPlaces> places_{};  ///< for a whole layer each; in common
  std::size_t place_size_ = 0;            ///< numbers
  ModelWeights<float>* weights_ = nullptr;
  std::vector<float*> at_;  ///< where each layer's weights point
};

}  // namespace nativo::model
