// Layers of which every node has parts (ZeRO stage 3 across nodes; Rajbhandari et al.,
// arXiv:1910.02054, section 5.3): each rank keeps its part of every layer, and a layer is whole
// only while it is used, once on each node. Three places take turns: while one layer computes, the
// next is gathered in the background. Embedding, final norm and head are whole on every node.
// Not here: when a pass needs which layer (model/decoder_pass.cc). Not for other folders.
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

class LayerShards {
 public:
  /// Makes room for what this rank keeps, and for what its node has in common. Collective over
  /// `ranks`, which outlive this.
  LayerShards(const DecoderConfig& config, dist::Communicator& ranks);

  /// Where the list of parameters and the weights are to lie: addresses for all of them, memory for
  /// those that are kept.
  [[nodiscard]] float* addresses() const;

  /// Moves embedding, final norm and head to where they are whole. Once; both outlive this.
  void bind(std::vector<Parameter>& list, ModelWeights<float>& weights);

  /// Runs body(0) .. body(count - 1), in any order and on any threads, or in theirs on this one.
  using RunAll = std::function<void(std::size_t count, const std::function<void(std::size_t)>&)>;
  /// Overwrites all parameters: make(index, values) gives all values of one, and is called on one
  /// rank of every node. Collective.
  void fill(const RunAll& run_all, const std::function<void(std::size_t, std::span<float>)>& make);

  /// values = all of parameter `index`. Collective.
  void read(std::size_t index, std::span<float> values) const;

  /// A pass begins: what was gathered before may be outdated.
  void begin_pass() { held_.reset(); }
  /// Makes the weights of `layer` whole until the next call; `next`, if there is one, is on its way
  /// when this returns, and must be what the next call asks for. Collective.
  void gather(std::int64_t layer, std::optional<std::int64_t> next);
  /// Sends for a layer that the next call of gather() asks for.
  void send_for(std::int64_t layer);

  /// Whether nodes have parts of the parameter.
  [[nodiscard]] bool is_cut(const Parameter& parameter) const;
  /// Bytes of what this rank keeps, and of the places that its node has in common.
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr std::size_t kPlaces = 3;

  [[nodiscard]] const Bucket& bucket_of(std::int64_t layer) const;
  [[nodiscard]] bool is_mine(std::size_t index) const;
  void keep(const Bucket& bucket, const float* whole);
  void point_to(std::int64_t layer, float* memory);

  DecoderConfig config_;
  dist::Communicator& ranks_;
  tensor::SparseMemory own_;
  tensor::Arena outer_;                   ///< embedding, final norm, head
  std::array<float*, kPlaces> places_{};  ///< for a whole layer each; in common
  std::size_t place_size_ = 0;            ///< numbers
  std::optional<Shards> shards_;          ///< of all parameters
  std::vector<Parameter>* list_ = nullptr;
  ModelWeights<float>* weights_ = nullptr;
  std::vector<float*> at_;            ///< where each layer's weights point
  std::size_t turn_ = 0;              ///< gathers begun
  std::optional<std::int64_t> held_;  ///< in the place of the last gather that is over
  std::optional<std::int64_t> coming_;
  dist::Pending gather_;
};

}  // namespace nativo::model
