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
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "model/decoder.h"
#include "model/shards.h"
#include "tensor/any_view.h"
#include "tensor/arena.h"

namespace nativo::train {

/// What gradients are on their way between ranks. On the CPU from node to node, within which they
/// stay f32: see dist::Values::crossing_as_bf16. On GPUs between any two; kOwn is what the decoder
/// has them in, anything else is converted on the way in and out, once, through two buffers of the
/// largest layer.
enum class GradientCrossing { kOwn, kF32, kBf16 };

/// Of dist.gradient_type. Throws Error(kConfig) for any other name.
[[nodiscard]] GradientCrossing gradient_crossing_from_option(const std::string& name);

class GradientSums {
 public:
  /// `zero` is the stage. Adapters are small: their gradients lie whole at any stage. All outlive
  /// this.
  GradientSums(dist::Communicator& ranks, model::Decoder& decoder, const model::Shards& shards,
               std::int64_t zero, GradientCrossing crossing = GradientCrossing::kOwn);

  /// Decoder::enable_gradients; of several ranks on the CPU in memory that their node shares. Once.
  void enable(model::GradientMemory memory);

  /// All are zero again.
  void zero();

  /// A round is a batch on every rank, or none on some: all run the same rounds in the same order,
  /// and end each with end_round(). Lets a batch's backward pass tell when a layer's gradients are
  /// there. `is_last` = the step's last round.
  void observe(model::StepOptions& options, bool is_last);

  /// Adds to the sums what this rank has not computed in the round.
  void end_round(bool is_last);

  /// Then the gradients of this rank's own slices (up to stage 0: all) are the sums over all ranks
  /// and rounds; on a GPU for what its compute stream is given from now on.
  void finish();

  /// Of one of the slices that are this rank's own (up to stage 0: any), after finish().
  [[nodiscard]] tensor::AnyView of(const model::Slice& slice) const;

  /// Reserved beside the decoder's own, on its device.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  /// A bucket's gradients as they cross, where that is not what they are.
  struct Crossing {
    tensor::AnyView memory = {};
    std::optional<std::size_t> bucket = std::nullopt;  ///< whose are in it
    tensor::AnyView gradients = {};                    ///< where they come from and go back to
    dist::Pending sum;
  };
  /// Memory that layers pass through.
  struct Buffer {
    tensor::AnyView memory = {};
    std::optional<std::size_t> bucket = std::nullopt;  ///< whose gradients are in it
    bool is_started = false;                           ///< their sum is
    dist::Pending sum;
  };

  [[nodiscard]] bool passes(const model::Bucket& bucket) const;
  void lay_out(tensor::DType type, const tensor::Device& device);
  void name_slices();
  void lay_out_crossings(tensor::DType type, const tensor::Device& device);
  [[nodiscard]] std::vector<tensor::AnyView> reserve(const std::vector<std::size_t>& counts,
                                                     tensor::DType type,
                                                     const tensor::Device& device,
                                                     tensor::Arena& memory);
  [[nodiscard]] tensor::AnyView lend(std::int64_t layer);
  [[nodiscard]] Buffer& fill(std::size_t bucket);
  void settle(Buffer& buffer);
  void settle(Crossing& crossing);
  void start_down_to(std::int64_t layer, bool is_last);
  void start(std::size_t bucket, const tensor::AnyView& gradients, dist::Pending& sum);
  [[nodiscard]] dist::Pending start_sum(const model::Bucket& bucket, const dist::Values& values);
  [[nodiscard]] std::size_t bucket_of(std::int64_t layer) const;
  [[nodiscard]] const dist::Part& own_part(std::size_t bucket) const;

  dist::Communicator& ranks_;
  model::Decoder& decoder_;
  const model::Shards& shards_;
  std::int64_t zero_;
  GradientCrossing crossing_;
  bool lends_ = false;                  ///< the decoder's gradients pass through here
  std::vector<tensor::AnyView> whole_;  ///< of each bucket; empty = it passes
  std::array<Buffer, 2> buffers_;
  std::array<Crossing, 2> crossings_;  ///< without memory where gradients cross as they are
  std::size_t crossing_turn_ = 0;
  tensor::Arena passing_memory_;             ///< of whole_ and buffers_, on a GPU
  tensor::Arena crossing_memory_;            ///< of crossings_
  tensor::Arena own_memory_;                 ///< this rank's parts of all that passes
  std::vector<tensor::AnyView> own_parts_;   ///< of each bucket, there
  std::vector<tensor::AnyView> own_slices_;  ///< by parameter; from stage 2 on
  std::size_t bytes_ = 0;
  std::size_t next_ = 0;             ///< buckets of the round that are not summed yet
  std::vector<dist::Pending> sums_;  ///< of what lies whole
};

/// The `count` numbers of a bucket whose first parameter's values, or gradients, are `first`: those
/// of a layer lie one behind the other.
[[nodiscard]] tensor::AnyView bucket_of(const tensor::AnyView& first, std::size_t count);

/// Bytes that a rank of `ranks` has for gradients that pass: `layer` numbers a layer, `layers` of
/// them, and `others` that lie whole, in f32.
[[nodiscard]] std::size_t passing_gradient_bytes(std::int64_t layer, std::int64_t layers,
                                                 std::int64_t others, std::int64_t ranks);

}  // namespace nativo::train
