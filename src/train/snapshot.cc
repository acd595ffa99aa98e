#include "train/snapshot.h"

#include <utility>
#include <variant>

#include "base/error.h"
#include "tensor/any_view.h"

namespace nativo::train {

TrainedTensors trained_tensors(const model::Decoder& decoder, const Optimizer& optimizer) {
  TrainedTensors tensors;
  tensors.config = decoder.config();
  if (decoder.lora() != nullptr) tensors.lora = *decoder.lora();
  const auto add = [](std::vector<model::TensorToWrite>& to, const std::string& name,
                      const std::vector<std::int64_t>& shape, model::StorageType type,
                      std::span<const std::byte> bytes) {
    to.push_back(
        {.name = name, .shape = shape, .values = {}, .stored = model::StoredValues{type, bytes}});
  };
  for (const model::Parameter& parameter : decoder.trainable()) {
    add(tensors.weights, parameter.name, parameter.shape, model::StorageType::kF32,
        std::as_bytes(parameter.value));
  }
  for (const StateTensor& tensor : optimizer.state()) {
    add(tensors.optimizer, tensor.name, tensor.shape, tensor.type,
        tensor.device.is_cuda() ? std::span<std::byte>() : tensor.bytes);
  }
  return tensors;
}

const TrainedTensors& Snapshot::begin(const model::Decoder& decoder, const Optimizer& optimizer) {
  tensors_ = trained_tensors(decoder, optimizer);
  std::vector<Source> sources;
  for (std::size_t i = 0; i < tensors_.weights.size(); ++i) {
    const tensor::AnyView& stored = decoder.trainable()[i].stored;
    sources.push_back({&tensors_.weights[i].stored->bytes,
                       {.from = bytes_of(stored),
                        .device = tensor::device(stored),
                        .widens = std::holds_alternative<tensor::View<tensor::bf16>>(stored)}});
  }
  for (std::size_t i = 0; i < tensors_.optimizer.size(); ++i) {
    const StateTensor& tensor = optimizer.state()[i];
    sources.push_back(
        {&tensors_.optimizer[i].stored->bytes, {.from = tensor.bytes, .device = tensor.device}});
  }
  begin(std::move(sources), decoder.numbers().device);
  return tensors_;
}

void Snapshot::begin(std::span<std::span<const std::byte>* const> spans) {
  std::vector<Source> sources;
  for (auto* span : spans) sources.push_back({span, {.from = *span}});
  begin(std::move(sources), {});
}

void Snapshot::begin(std::vector<Source> sources, const tensor::Device& device) {
  const auto copied_bytes = [](const Source& source) {
    return source.piece.from.size() * (source.piece.widens ? 2 : 1);
  };
  tensor::ArenaPlan plan;
  std::vector<tensor::ArenaPlan::Slot> slots;
  for (const Source& source : sources) {
    slots.push_back(
        plan.add<std::byte>("snapshot", {static_cast<std::int64_t>(copied_bytes(source))}));
  }
  try {
    memory_.reserve(plan, "a copy to write a checkpoint from");
  } catch (const Error& error) {
    throw Error(error.code(), error.what(),
                device.is_cuda() ? "checkpoints of a GPU are written from a copy: set "
                                   "train.optimizer_state = \"int8\", or use a machine with more "
                                   "memory"
                                 : "set train.background_checkpoints = false, or use a machine "
                                   "with more memory");
  }
  std::vector<DeferredCopy::Piece> pieces;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::span<std::byte> to = memory_.view<std::byte>(slots[i]).span();
    sources[i].piece.to = to.data();
    *sources[i].copied = to;
    pieces.push_back(sources[i].piece);
  }
  copy_.begin(std::move(pieces), device);
}

}  // namespace nativo::train
