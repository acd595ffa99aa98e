// Which rank owns which of a list of parameters' numbers: its share of the optimizer's state, of
// the gradient's sum, of every checkpoint and, where nodes have parts of the parameters, of these.
// Rule: decided by the parameters' sizes and the number of ranks alone; borders lie where blocks of
// 8-bit moments and pieces of the gradient's norm begin, so that who owns what changes no bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dist/communicator.h"
#include "model/decoder.h"

namespace nativo::model {

/// Elements begin .. begin + count - 1 of a parameter, count > 0.
struct Slice {
  std::size_t parameter = 0;  ///< its index
  std::size_t begin = 0;      ///< a multiple of ops::kNormPiece
  std::size_t count = 0;
  bool operator==(const Slice&) const = default;
};

/// Every parameter whole.
[[nodiscard]] std::vector<Slice> whole_slices(std::span<const Parameter> parameters);

/// The parameters of one layer, which lie one behind the other. `begin` and the parts count the
/// numbers of all parameters.
struct Bucket {
  std::int64_t layer = 0;     ///< Parameter::layer
  std::size_t parameter = 0;  ///< index of the first one
  std::size_t begin = 0;
  std::size_t count = 0;
  std::vector<dist::Part> parts;  ///< one a rank; together the bucket

  /// The parts as those of the bucket's own numbers.
  [[nodiscard]] std::vector<dist::Part> parts_inside() const;
};

class Shards {
 public:
  /// Cuts each layer of `parameters` into `ranks` (>= 1) parts of about one size. Layers with fewer
  /// pieces of ops::kNormPiece elements than ranks leave some ranks without a part.
  Shards(std::span<const Parameter> parameters, int ranks);

  /// In the order of the parameters.
  [[nodiscard]] std::span<const Bucket> buckets() const { return buckets_; }
  /// What `rank` owns, in the order of the parameters; one slice a parameter at most.
  [[nodiscard]] std::span<const Slice> slices(int rank) const {
    return slices_[static_cast<std::size_t>(rank)];
  }

 private:
  std::vector<Bucket> buckets_;
  std::vector<std::vector<Slice>> slices_;  ///< by rank
};

}  // namespace nativo::model
