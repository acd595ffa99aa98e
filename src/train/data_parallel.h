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
#include "model/decoder.h"
#include "train/gradient_sums.h"
#include "train/shards.h"

namespace nativo::train {

class DataParallel {
 public:
  /// `communicator` null = alone. `zero` is the stage: 0 = every rank has all, 1 = the optimizer's
  /// state is sharded, 2 = the gradients too. Both arguments outlive this.
  DataParallel(dist::Communicator* communicator, model::Decoder& decoder, std::int64_t zero);

  [[nodiscard]] dist::Communicator& ranks() { return *communicator_; }
  [[nodiscard]] bool is_alone() const { return communicator_->size() == 1; }
  [[nodiscard]] bool is_root() const { return communicator_->is_root(); }
  [[nodiscard]] const Shards& shards() const { return shards_; }
  /// What this rank writes into a checkpoint, and reads the gradient's norm from.
  [[nodiscard]] std::span<const Slice> own_slices() const;
  /// What this rank updates: its own with ZeRO, else all.
  [[nodiscard]] std::span<const Slice> updated_slices() const { return updated_; }

  /// Their gradients; see GradientSums.
  [[nodiscard]] GradientSums& gradients() { return gradients_; }
  /// Of updated_slices(), one by one, after GradientSums::finish().
  [[nodiscard]] std::vector<std::span<const float>> updated_gradients() const;

  /// This rank's rows of a step of `rows`.
  [[nodiscard]] dist::Part share(std::size_t rows) const;
  /// Rounds (see GradientSums) in which every rank gets through its share, `micro` rows at a time.
  [[nodiscard]] std::size_t rounds(std::size_t rows, std::size_t micro) const;

  /// The norm of the whole gradient, after GradientSums::finish(); the same bits with any number of
  /// ranks, given the same gradient.
  [[nodiscard]] double gradient_norm();

  /// After the update: every rank gets the parameters that others have updated.
  void gather_parameters();

 private:
  [[nodiscard]] std::span<float> all_values() const;

  std::unique_ptr<dist::Communicator> self_;  ///< when alone
  dist::Communicator* communicator_;
  model::Decoder& decoder_;
  bool shards_state_;
  Shards shards_;
  std::vector<Slice> updated_;
  GradientSums gradients_;
  std::size_t trained_ = 0;  ///< numbers
};

}  // namespace nativo::train
