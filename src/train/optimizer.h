// AdamW over what is trained of a decoder, and its moments. The arithmetic is ops/adamw.h.
// Rule: the state is the moments alone; bias correction and rounding come from the step's number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/decoder.h"
#include "model/shards.h"
#include "model/storage_type.h"
#include "ops/adamw.h"
#include "tensor/arena.h"

namespace nativo::train {

/// What the moments are held in between two updates; see ops/adamw.h.
enum class StateType { kF32, kBf16, kInt8 };

/// train.optimizer_state: "f32", "bf16" or "int8". Throws Error(kConfig) for any other text.
[[nodiscard]] StateType state_type_from_option(const std::string& option);

/// Bytes of the moments of `elements` trained numbers; every tensor's last block may be shorter, so
/// that int8 needs some bytes a tensor more.
[[nodiscard]] std::size_t state_bytes(StateType type, std::int64_t elements);

/// Decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101), with g the clipped gradient:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= lr * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * w)
struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.0;  ///< for parameters with `decays` whose name has none of no_decay
  std::vector<std::string> no_decay = {};
  double clip_norm = 0.0;  ///< gradients are scaled down to this global norm; 0 = never
  StateType state = StateType::kF32;
  std::uint64_t seed = 0;  ///< of the rounding of bf16 and int8
};

/// One tensor of the state, row-major, as it is held and stored.
struct StateTensor {
  /// "first.NAME" and "second.NAME" for m and v of the parameter NAME; with int8 also
  /// "first_scale.NAME" and "second_scale.NAME".
  std::string name;
  std::vector<std::int64_t> shape;  ///< the parameter's; [blocks] of scales
  model::StorageType type = model::StorageType::kF32;
  std::span<std::byte> bytes;   ///< of a sharded state, this rank's; on `device`
  std::uint64_t begin = 0;      ///< where `bytes` begin in the whole tensor's
  std::size_t parameter = 0;    ///< the parameter's index
  std::size_t block = 1;        ///< its elements that share a number of this tensor
  model::TensorPart part = {};  ///< of tensor-parallel ranks, as the parameter's
  tensor::Device device = {};   ///< the parameter's

  [[nodiscard]] const std::vector<std::int64_t>& whole_shape() const {
    return part.is_cut() ? part.whole : shape;
  }
};

/// The tensors of the whole state of `parameters`, without bytes. Throws Error(kConfig) for int8
/// where tensor-parallel ranks have parts of a parameter that are no whole blocks.
[[nodiscard]] std::vector<StateTensor> state_tensors(std::span<const model::Parameter> parameters,
                                                     StateType type);

class Optimizer {
 public:
  /// Allocates the moments, zeroed: 8 bytes a parameter in f32, 4 in bf16, 2.0625 in int8. Throws
  /// Error(kTryAgain) when memory does not suffice, and Error(kConfig) for a text of no_decay that
  /// is in no parameter's name, and as state_tensors().
  Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings);

  /// Of some of the numbers alone: `slices` of `parameters` are all that is held and updated, with
  /// the bits that the whole would have there.
  Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings,
            std::span<const model::Slice> slices);

  /// Update number `step` (from 1) of `parameters` (those of the constructor) with learning rate
  /// `lr`. `gradient_norm` is that of all gradients together, before clipping; finite.
  void update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
              double gradient_norm);

  /// The same where the gradients lie elsewhere: gradients[i] is that of the constructor's
  /// slices[i], of the parameter's type and on its device.
  void update(std::span<model::Parameter> parameters, std::span<const tensor::AnyView> gradients,
              std::int64_t step, double lr, double gradient_norm);

  [[nodiscard]] StateType type() const { return settings_.state; }
  /// Reserved for the moments.
  [[nodiscard]] std::size_t bytes() const { return memory_.capacity(); }

  /// The whole state, or this rank's part of it, tensor by tensor. The bytes stay where they are
  /// for the optimizer's life.
  [[nodiscard]] std::span<const StateTensor> state() const { return state_; }

 private:
  /// Of one slice.
  template <class T>
  struct MomentsOf {
    tensor::View<T> first;
    tensor::View<T> second;
  };
  using Moments = std::variant<MomentsOf<float>, MomentsOf<tensor::bf16>, ops::Int8MomentViews>;

  void reserve(std::span<const model::Parameter> parameters);
  template <class T>
  void update_slice(const ops::AdamW& options, const ops::RoundingNoise& noise,
                    const tensor::View<T>& value, const tensor::AnyView& gradient,
                    const Moments& moments);

  AdamWSettings settings_;
  std::size_t parameters_;  ///< how many there are
  std::vector<model::Slice> slices_;
  tensor::Arena memory_;                    ///< of all moments, on the parameters' device
  std::vector<Moments> moments_;            ///< of the slices
  std::vector<bool> decays_;                ///< of the parameters
  std::vector<std::size_t> first_numbers_;  ///< of the parameters: sets parts apart in the noise
  std::vector<StateTensor> state_;
};

}  // namespace nativo::train
