// Layers of which every GPU has parts; see model/layer_shards.h. Two places take turns: a layer is
// gathered on the ranks' stream while the one before it computes, and into its place when the one
// before that has been computed.
// Not for other folders.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "model/layer_shards.h"
#include "tensor/arena.h"

namespace nativo::model {

template <class T>
class GpuLayerShards final : public LayerShards {
 public:
  /// Makes room for what is gathered. `ranks` are on GPUs, this one's is `device`; they outlive
  /// this.
  GpuLayerShards(const DecoderConfig& config, dist::Communicator& ranks,
                 const tensor::Device& device);

  /// Where the list of parameters and the weights are to begin: addresses alone, until bind().
  [[nodiscard]] T* addresses() const { return places_.front(); }

  /// Makes room for what this rank keeps; the list's parameters and the embedding, final norm and
  /// head lie there then. What a parameter's view shows outside of the rank's own part is no
  /// memory. Once; both outlive this.
  void bind(std::vector<Parameter>& list, ModelWeights<T>& weights);

  void fill(const RunAll& run_all,
            const std::function<void(std::size_t, std::span<float>)>& make) override;
  void load(const Read& read) override;
  [[nodiscard]] std::size_t bytes() const override;

 protected:
  dist::Pending send(const Bucket& bucket, std::size_t place) override;
  void point_to(std::int64_t layer, std::size_t place) override;

 private:
  static constexpr std::size_t kPlaces = 2;

  /// Where the bucket's number 0 would be, if all of it were here.
  [[nodiscard]] T* begin_of(const Bucket& bucket) const;

  tensor::Device device_;
  tensor::Arena place_memory_;
  tensor::Arena own_memory_;  ///< embedding, final norm, head; then this rank's part of each layer
  std::array<T*, kPlaces> places_{};
  std::vector<T*> own_;  ///< of each layer
  std::vector<T*> at_;   ///< where each layer's weights point
  ModelWeights<T>* weights_ = nullptr;
};

/// Bytes of the parameters of a GPU's rank that keeps `own` numbers of the layers.
[[nodiscard]] std::size_t gpu_shard_bytes(const DecoderConfig& config, std::int64_t own,
                                          const Numbers& numbers);

}  // namespace nativo::model
