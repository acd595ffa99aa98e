// The norm of the whole gradient, from sums of squares that may come one slice at a time, as layers
// are done. Rule: the same bits with any number of data-parallel ranks and in any order of the
// slices, given the same gradient.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "dist/grid.h"
#include "model/decoder.h"
#include "model/shards.h"
#include "tensor/any_view.h"
#include "tensor/arena.h"

namespace nativo::train {

class GradientNorm {
 public:
  /// Of `parameters`, which lie on `device`.
  GradientNorm(std::span<const model::Parameter> parameters, const tensor::Device& device);

  /// Nothing is added.
  void begin();

  /// Adds a slice's gradient, once between two begin(); on a GPU in order with its ops.
  void add(const model::Slice& slice, const tensor::AnyView& gradient);

  /// Of all that the ranks of `grid` have added; each number of a gradient is added by one of the
  /// data-parallel ranks. Waits for a GPU, and throws as dist::Grid::check().
  [[nodiscard]] double finish(dist::Grid& grid);

 private:
  tensor::Device device_;
  std::vector<bool> is_cut_;              ///< by parameter: other ranks have other parts
  std::vector<std::size_t> first_piece_;  ///< by parameter, and the end of the last one's
  std::vector<double> sums_;              ///< of each piece's squares
  tensor::Arena memory_;                  ///< the same on a GPU
  tensor::View<double> on_gpu_;
};

}  // namespace nativo::train
