// The ranks of a training as rows and columns: data parallel x tensor parallel. Neighbours share a
// model cut in `tensor` parts (so that they lie on one node when a node's ranks are a multiple of
// it); ranks with the same part are a data-parallel group.
// Not here: what is cut and how (model/decoder_ranks.h), what is summed (train/).
#pragma once

#include <cstdint>
#include <memory>

#include "dist/communicator.h"

namespace nativo::dist {

/// Throws Error(kConfig) when `ranks` are no multiple of `tensor`.
void require_grid(std::int64_t ranks, std::int64_t tensor);

class Grid {
 public:
  /// A process that is alone.
  Grid();
  /// Collective over `world`, which outlives this; null = alone. Rank r has part r modulo `tensor`.
  /// Throws as require_grid().
  Grid(Communicator* world, std::int64_t tensor);

  [[nodiscard]] Communicator& world() { return *world_; }
  /// Those with this rank's part of the model.
  [[nodiscard]] Communicator& data() { return *data_; }
  /// Those that share one model, by part.
  [[nodiscard]] Communicator& tensor() { return *tensor_; }
  void set_timeout(double seconds);
  /// Communicator::check() of all three.
  void check();

 private:
  std::unique_ptr<Communicator> self_;
  std::unique_ptr<Communicator> own_data_;
  std::unique_ptr<Communicator> own_tensor_;
  Communicator* world_;
  Communicator* data_;
  Communicator* tensor_;
};

}  // namespace nativo::dist
