// What a checkpoint holds of a model: the trained weights and the optimizer's state, where they lie
// or copied, so that training can go on while they are written.
// Not here: files (checkpoint.h), how copies are made beside the training (deferred_copy.h).
// Rule: only what is trained is copied; a frozen base is not.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "model/safetensors.h"
#include "tensor/arena.h"
#include "train/deferred_copy.h"
#include "train/optimizer.h"

namespace nativo::train {

/// Tensors to be written; their bytes belong to somebody else.
struct TrainedTensors {
  model::DecoderConfig config;
  std::optional<model::LoraConfig> lora;      ///< of a decoder with adapters: `weights` are theirs
  std::vector<model::TensorToWrite> weights;  ///< decoder.trainable(), f32
  std::vector<model::TensorToWrite> optimizer;  ///< Optimizer::state()
};

/// The tensors where they lie in `decoder` and `optimizer`; of a GPU, whose bytes nobody can write
/// from there, without bytes.
[[nodiscard]] TrainedTensors trained_tensors(const model::Decoder& decoder,
                                             const Optimizer& optimizer);

/// A copy of them: as many bytes as what is trained and its optimizer's state take, which for a
/// full training in f32 is 12 a parameter.
class Snapshot {
 public:
  /// Begins a copy over the one before, which is whole: the tensors' bytes are there when finish()
  /// has returned, and valid until the next begin(). The memory is allocated once and kept. Throws
  /// Error(kTryAgain) when it does not suffice. What a GPU trains comes from there, weights in f32.
  const TrainedTensors& begin(const model::Decoder& decoder, const Optimizer& optimizer);

  /// The same of any bytes: each span is moved to where its copy will be.
  void begin(std::span<std::span<const std::byte>* const> spans);

  /// See DeferredCopy.
  void finish() { copy_.finish(); }
  void before_change(std::span<const std::byte> bytes) { copy_.before_change(bytes); }

 private:
  struct Source {
    std::span<const std::byte>* copied;  ///< gets the copy's place
    DeferredCopy::Piece piece;
  };
  void begin(std::vector<Source> sources, const tensor::Device& device);

  TrainedTensors tensors_;
  tensor::Arena memory_;
  DeferredCopy copy_;
};

}  // namespace nativo::train
