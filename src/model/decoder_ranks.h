// A decoder that several ranks hold together: tensor parallelism (Shoeybi et al., "Megatron-LM",
// arXiv:1909.08053) and parameters that a node has once, or parts of (ZeRO stage 3).
// Tensor parallelism: each rank has its heads of q, k, v and its features of gate and up (rows of
// these weights) and the columns of the output and down projections that belong to them; the ranks'
// sums of what these two give are the layer's, forward, and of what comes back from qkv and
// gate_up, backward: four all-reduces a layer. Norms, embedding and head are whole on every rank:
// of a model that is large enough to be cut they are few, and nothing of them needs to be summed.
// Not here: which ranks those are (dist/grid.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder_config.h"

namespace nativo::dist {
class Communicator;
}

namespace nativo::model {

/// Null = this process alone. They outlive the decoder.
struct DecoderRanks {
  dist::Communicator* tensor = nullptr;  ///< hold a part of every layer each
  /// Hold equal parameters: those of a node have them once, in memory that they share; of several
  /// nodes each, or each of several GPUs, has parts of the layers, which are gathered when they are
  /// needed, unless they are quantised: then every GPU has them all. Adapters are small and every
  /// rank's own.
  dist::Communicator* weights = nullptr;
  dist::Communicator* all = nullptr;  ///< that load the same folder
};

/// The part of `config` that each of `ranks` has under tensor parallelism: a decoder with fewer
/// heads and a narrower feed-forward. Throws Error(kConfig) when these cannot be cut evenly.
[[nodiscard]] DecoderConfig tensor_part(const DecoderConfig& config, std::int64_t ranks);

/// Where a part of a tensor lies in the whole one, both row-major: its element i is number
/// i / run * stride + begin + i % run there.
struct TensorPart {
  std::vector<std::int64_t> whole = {};  ///< the whole tensor's shape; empty = this is all of it
  std::size_t run = 0;                   ///< neighbours here that are neighbours there
  std::size_t stride = 0;
  std::size_t begin = 0;
  /// The gradient is one of the ranks' summands, though the values are equal on all of them.
  bool is_summed = false;

  [[nodiscard]] bool is_cut() const { return !whole.empty(); }
  /// Whether all of it is one piece of the whole.
  [[nodiscard]] bool is_rows() const { return stride == 0; }
};

/// Of a tensor of `shape`: part `rank` of `ranks` that are cut between rows, or between columns.
[[nodiscard]] TensorPart row_part(const std::vector<std::int64_t>& shape, std::int64_t rank,
                                  std::int64_t ranks);
[[nodiscard]] TensorPart column_part(const std::vector<std::int64_t>& shape, std::int64_t rank,
                                     std::int64_t ranks);

/// Calls body(here, there, length) for each piece of the elements first .. first + count - 1.
template <class Body>
void for_runs(const TensorPart& part, std::size_t first, std::size_t count, const Body& body) {
  if (!part.is_cut()) return body(first, first, count);
  for (std::size_t at = first; at < first + count;) {
    const std::size_t column = at % part.run;
    const std::size_t length = std::min(part.run - column, first + count - at);
    body(at, at / part.run * part.stride + part.begin + column, length);
    at += length;
  }
}

/// whole = the tensor whose part `part` this rank has in `mine`; collective over `ranks`, whose
/// parts are in their order. `whole` and `mine` are elements of one size.
void gather_whole(dist::Communicator& ranks, const TensorPart& part, std::span<const float> mine,
                  std::span<float> whole);

}  // namespace nativo::model
