// What each rank has of a checkpoint's large files: global tensors at places known before, and the
// rank's own ranges of them.
// Not here: where they are written to (shared_checkpoint.h, neighbour_memory.h).
// Tensor-parallel ranks have columns of some tensors: they hand each other what makes rows of them,
// so that a rank's ranges are few and long.
// Rule: all ranks' ranges together are every byte of the files once; how many ranks there are shows
// in the ranges alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/data_parallel.h"
#include "train/optimizer.h"

namespace nativo::train {

/// Bytes of a file.
struct CheckpointRange {
  std::string file;
  std::uint64_t begin = 0;  ///< in the file
  std::span<const std::byte> bytes;
  bool stays = false;  ///< the bytes are CheckpointParts' own: training does not change them
};

struct CheckpointParts {
  std::map<std::string, std::uint64_t> files;  ///< the size of each; the same on all ranks
  std::vector<CheckpointRange> ranges;         ///< this rank's, ascending
  std::deque<std::vector<std::byte>> memory;   ///< of the ranges that stay
};

/// Collective over Grid::tensor(). The ranges lie in `decoder`, `optimizer` and `memory`; a range
/// moves with what it is made of.
[[nodiscard]] CheckpointParts checkpoint_parts(DataParallel& parallel,
                                               const model::Decoder& decoder,
                                               const Optimizer& optimizer);

}  // namespace nativo::train
