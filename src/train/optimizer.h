// AdamW over what is trained of a decoder, and its moments. The arithmetic is ops/adamw.h.
// Rule: the state is the moments alone; bias correction and rounding come from the step's number.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/decoder.h"
#include "model/shards.h"
#include "model/storage_type.h"
#include "ops/adamw.h"
#include "tensor/any_view.h"
#include "tensor/arena.h"
#include "tensor/host_window.h"
#include "train/options.h"

namespace nativo::train {

/// What the moments are held in between two updates; see ops/adamw.h.
enum class StateType { kF32, kBf16, kInt8 };

/// train.optimizer_state: "f32", "bf16" or "int8". Throws Error(kConfig) for any other text.
[[nodiscard]] StateType state_type_from_option(const std::string& option);

/// Bytes of the moments of `elements` trained numbers; every tensor's last block may be shorter, so
/// that int8 needs some bytes a tensor more.
[[nodiscard]] std::size_t state_bytes(StateType type, std::int64_t elements);

/// Bytes that moments on the host pass through on a GPU.
[[nodiscard]] std::size_t offload_bytes(StateType type);

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
  /// Of parameters on a GPU: the moments wait in host memory and pass through the GPU a piece at a
  /// time, with the same bits.
  bool offload = false;
};

/// Those of a training with `options`. Throws as state_type_from_option() and offload_of().
[[nodiscard]] AdamWSettings adamw_settings(const TrainOptions& options);

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
  tensor::Device device = {};   ///< where the bytes are

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
  /// `lr`. `gradient_norm` is that of all gradients together, before clipping; finite. On a GPU the
  /// host does not wait.
  void update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
              double gradient_norm);

  /// The same where the gradients lie elsewhere: gradients[i] is that of the constructor's
  /// slices[i], of the parameter's type and on its device.
  void update(std::span<model::Parameter> parameters, std::span<const tensor::AnyView> gradients,
              std::int64_t step, double lr, double gradient_norm);

  /// The part of update number `step` that is `layer`'s (Parameter::layer), for gradients that are
  /// there one layer at a time: nothing is clipped. Every layer once a step, then end_layers().
  void update_layer(std::span<model::Parameter> parameters, std::int64_t layer, std::int64_t step,
                    double lr);
  void end_layers();

  /// Before weights or moments change, `before_change` is told which of their bytes, slice by
  /// slice.
  void observe(std::function<void(std::span<const std::byte>)> before_change) {
    before_change_ = std::move(before_change);
  }

  [[nodiscard]] StateType type() const { return settings_.state; }
  /// Reserved on the parameters' device.
  [[nodiscard]] std::size_t bytes() const {
    return window_ ? window_->bytes() : memory_.capacity();
  }
  /// Reserved on the host beside a GPU.
  [[nodiscard]] std::size_t host_bytes() const { return pinned_.bytes(); }

  /// The whole state, or this rank's part of it, tensor by tensor. The bytes stay where they are
  /// for the optimizer's life; beside a GPU, they are there once it is through with its ops.
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
  [[nodiscard]] ops::AdamW options_of(std::int64_t step, double lr) const;
  /// Slice `index`.
  void update_slice(ops::AdamW options, std::size_t index, const model::Parameter& parameter,
                    const tensor::AnyView& gradient);
  /// Of the numbers first .. first + count - 1.
  [[nodiscard]] static Moments part(const Moments& moments, std::size_t first, std::size_t count);
  /// Where the GPU finds them until window_->close().
  [[nodiscard]] Moments opened(const Moments& moments);
  void tell_of_change(std::size_t index, const model::Parameter& parameter) const;
  template <class T>
  void update_numbers(const ops::AdamW& options, const ops::RoundingNoise& noise,
                      const tensor::View<T>& value, const tensor::AnyView& gradient,
                      const Moments& moments);

  AdamWSettings settings_;
  std::size_t parameters_;  ///< how many there are
  std::vector<model::Slice> slices_;
  tensor::PinnedMemory pinned_;               ///< of offloaded moments
  tensor::Arena memory_;                      ///< of all moments: the device's, or pinned_
  std::optional<tensor::HostWindow> window_;  ///< what offloaded moments pass through
  std::vector<Moments> moments_;              ///< of the slices
  std::vector<bool> decays_;                  ///< of the parameters
  std::vector<std::size_t> first_numbers_;    ///< of the parameters: sets parts apart in the noise
  std::vector<StateTensor> state_;            ///< of each slice as many
  std::function<void(std::span<const std::byte>)> before_change_;
};

}  // namespace nativo::train
