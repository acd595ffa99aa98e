// What a checkpoint holds of a model: the trained weights and the optimizer's state, where they lie
// or copied, so that training can go on while they are written.
// Not here: files (checkpoint.h). Rule: only what is trained is copied; a frozen base is not.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "model/safetensors.h"
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
  /// Copies on all threads, over the copy taken before. The memory is allocated once and kept.
  /// Throws Error(kTryAgain) when it does not suffice. The result is valid until the next take().
  /// What a GPU trains comes from there, weights in f32.
  const TrainedTensors& take(const model::Decoder& decoder, const Optimizer& optimizer);

  /// The same of any bytes: each span is moved to its copy.
  void take(std::span<std::span<const std::byte>* const> spans);

 private:
  void take_from_gpu(const model::Decoder& decoder, const Optimizer& optimizer);
  void reserve(std::size_t bytes);

  TrainedTensors tensors_;
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace nativo::train
