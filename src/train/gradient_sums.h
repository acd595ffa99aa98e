// Where a rank's gradients lie, and how they become the sums over all ranks while the backward pass
// goes on. Up to ZeRO stage 1 every rank has memory for all of them; from stage 2 on (Rajbhandari
// et al., arXiv:1910.02054, section 5.2) a layer's are in memory only until they have been summed:
// two buffers take turns, and each rank keeps its own part of the sum.
// Rule: embedding, final norm and head are summed once a step; so is everything that lies whole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "model/decoder.h"
#include "model/shards.h"

namespace nativo::train {

/// What gradients are on the way from node to node; see dist::Values::crossing_as_bf16.
enum class GradientCrossing { kF32, kBf16 };

/// Of dist.gradient_type. Throws Error(kConfig) for any other name.
[[nodiscard]] GradientCrossing gradient_crossing_from_option(const std::string& name);

class GradientSums {
 public:
  /// `zero` is the stage. Adapters are small: their gradients lie whole at any stage. All outlive
  /// this.
  GradientSums(dist::Communicator& ranks, model::Decoder& decoder, const model::Shards& shards,
               std::int64_t zero, GradientCrossing crossing = GradientCrossing::kF32);

  /// Decoder::enable_gradients; of several ranks in memory that their node shares. Once.
  void enable(model::GradientMemory memory);

  /// All are zero again.
  void zero();

  /// A round is a batch on every rank, or none on some: all run the same rounds in the same order,
  /// and end each with end_round(). Lets a batch's backward pass tell when a layer's gradients are
  /// there. `is_last` = the step's last round.
  void observe(model::StepOptions& options, bool is_last);

  /// Adds to the sums what this rank has not computed in the round.
  void end_round(bool is_last);

  /// Waits: then the gradients of this rank's own slices (up to stage 0: all) are the sums over all
  /// ranks and rounds.
  void finish();

  /// Of one of the slices that are this rank's own (up to stage 0: any), after finish().
  [[nodiscard]] std::span<float> of(const model::Slice& slice) const;

 private:
  /// Memory that layers pass through.
  struct Buffer {
    std::span<float> memory;
    std::optional<std::size_t> bucket = std::nullopt;  ///< whose gradients are in it
    bool is_started = false;                           ///< their sum is
    dist::Pending sum;
  };

  [[nodiscard]] bool passes(const model::Bucket& bucket) const;
  [[nodiscard]] std::span<float> lend(std::int64_t layer);
  [[nodiscard]] Buffer& fill(std::size_t bucket);
  void settle(Buffer& buffer);
  void start_down_to(std::int64_t layer, bool is_last);
  void start(const model::Bucket& bucket, std::span<float> gradients, dist::Pending& sum);
  [[nodiscard]] std::size_t bucket_of(std::int64_t layer) const;

  dist::Communicator& ranks_;
  model::Decoder& decoder_;
  const model::Shards& shards_;
  std::int64_t zero_;
  GradientCrossing crossing_;
  bool lends_ = false;                   ///< the decoder's gradients pass through here
  std::vector<std::span<float>> whole_;  ///< of each bucket; empty = it passes
  std::array<Buffer, 2> buffers_;
  std::vector<float> own_;                    ///< this rank's parts of all that passes
  std::vector<std::span<float>> own_parts_;   ///< of each bucket, in own_
  std::vector<std::span<float>> own_slices_;  ///< by parameter; from stage 2 on
  std::size_t next_ = 0;                      ///< buckets of the round that are not summed yet
  std::vector<dist::Pending> sums_;           ///< of what lies whole
};

/// Bytes that a rank of `ranks` has for gradients that pass: `layer` numbers a layer, `layers` of
/// them, and `others` that lie whole.
[[nodiscard]] std::size_t passing_gradient_bytes(std::int64_t layer, std::int64_t layers,
                                                 std::int64_t others, std::int64_t ranks);

}  // namespace nativo::train
