// Several ranks train one model: each computes its rows of every step, the gradients are summed,
// and with ZeRO (Rajbhandari et al., arXiv:1910.02054) each updates and keeps the optimizer's state
// of its own shard alone.
// Not here: how ranks talk to each other (dist/), what a step is (step.h).
// Rule: all ranks decide alike, because all decide by the same numbers; with one rank nothing here
// costs anything or changes a bit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dist/communicator.h"
#include "dist/grid.h"
#include "model/decoder.h"
#include "model/shards.h"
#include "tensor/any_view.h"
#include "train/gradient_norm.h"
#include "train/gradient_sums.h"

namespace nativo::train {

/// Which ranks hold a decoder together in a training at ZeRO stage `zero`.
[[nodiscard]] model::DecoderRanks decoder_ranks(dist::Grid& grid, std::int64_t zero);

class DataParallel {
 public:
  /// `grid` null = alone. `zero` is the stage: 0 = every rank has all, 1 = the optimizer's state is
  /// sharded, 2 = the gradients too, 3 = the parameters too, which is the decoder's to do
  /// (model::DecoderRanks). `gradients` = what they are between ranks (dist.gradient_type). Grid
  /// and decoder outlive this. Of a decoder on a GPU the grid's ranks are GPUs' (dist/nccl.h).
  DataParallel(dist::Grid* grid, model::Decoder& decoder, std::int64_t zero,
               GradientCrossing gradients = GradientCrossing::kOwn);

  [[nodiscard]] dist::Grid& grid() { return *grid_; }
  [[nodiscard]] bool is_alone() { return grid_->world().size() == 1; }
  [[nodiscard]] bool is_root() { return grid_->world().is_root(); }
  [[nodiscard]] const model::Shards& shards() const { return shards_; }
  /// What this rank writes into a checkpoint, and reads the gradient's norm from.
  [[nodiscard]] std::span<const model::Slice> own_slices() const;
  /// What this rank updates: its own with ZeRO, else all.
  [[nodiscard]] std::span<const model::Slice> updated_slices() const { return updated_; }

  /// Their gradients; see GradientSums.
  [[nodiscard]] GradientSums& gradients() { return gradients_; }
  /// Of updated_slices(), one by one, after finish_gradients().
  [[nodiscard]] std::vector<tensor::AnyView> updated_gradients() const;

  /// This rank's rows of a step of `rows`.
  [[nodiscard]] dist::Part share(std::size_t rows) const;
  /// Rounds (see GradientSums) in which every rank gets through its share, `micro` rows at a time.
  [[nodiscard]] std::size_t rounds(std::size_t rows, std::size_t micro) const;

  /// GradientSums::finish(), and over tensor-parallel ranks what is theirs together.
  void finish_gradients();

  /// The norm of the whole gradient, after finish_gradients().
  [[nodiscard]] double gradient_norm();
  /// The same of gradients that are there one layer at a time: norm().begin(), add_to_norm() for
  /// each layer, norm().finish().
  [[nodiscard]] GradientNorm& norm() { return norm_; }
  void add_to_norm(std::int64_t layer);

  /// After the update: every rank gets the parameters that others have updated, but for layers of
  /// which nodes have parts (Decoder::gathers_layers).
  void gather_parameters();

 private:
  std::unique_ptr<dist::Grid> self_;  ///< when alone
  dist::Grid* grid_;
  dist::Communicator* ranks_;  ///< grid_->data()
  model::Decoder& decoder_;
  bool shards_state_;
  model::Shards shards_;
  std::vector<model::Slice> updated_;
  GradientSums gradients_;
  GradientNorm norm_;
};

}  // namespace nativo::train
