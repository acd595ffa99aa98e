#include "train/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "tensor/device_memory.h"

namespace nativo::train {
namespace {

constexpr std::size_t kTile = std::size_t{1} << 20;  // bytes copied at once

}  // namespace

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

const TrainedTensors& Snapshot::take(const model::Decoder& decoder, const Optimizer& optimizer) {
  tensors_ = trained_tensors(decoder, optimizer);
  if (decoder.numbers().device.is_cuda()) {
    take_from_gpu(decoder, optimizer);
    return tensors_;
  }
  std::vector<std::span<const std::byte>*> spans;
  for (auto* list : {&tensors_.weights, &tensors_.optimizer}) {
    for (model::TensorToWrite& tensor : *list) spans.push_back(&tensor.stored->bytes);
  }
  take(spans);
  return tensors_;
}

void Snapshot::take_from_gpu(const model::Decoder& decoder, const Optimizer& optimizer) {
  std::size_t bytes = 0;
  for (const model::Parameter& parameter : decoder.trainable()) {
    bytes += parameter.elements() * sizeof(float);
  }
  for (const StateTensor& tensor : optimizer.state()) bytes += tensor.bytes.size();
  reserve(bytes);
  std::byte* to = memory_.get();
  for (std::size_t i = 0; i < tensors_.weights.size(); ++i) {
    const model::Parameter& parameter = decoder.trainable()[i];
    const std::span<float> values(reinterpret_cast<float*>(to), parameter.elements());
    tensor::read(parameter.stored, values);
    tensors_.weights[i].stored->bytes = std::as_bytes(values);
    to += values.size_bytes();
  }
  for (std::size_t i = 0; i < tensors_.optimizer.size(); ++i) {
    const StateTensor& tensor = optimizer.state()[i];
    tensor::copy_bytes({}, to, tensor.device, tensor.bytes.data(), tensor.bytes.size());
    tensors_.optimizer[i].stored->bytes = {to, tensor.bytes.size()};
    to += tensor.bytes.size();
  }
}

void Snapshot::reserve(std::size_t bytes) {
  if (bytes > capacity_) {
    capacity_ = 0;
    memory_.reset();
    try {
      memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    } catch (const std::bad_alloc&) {
      throw Error(ExitCode::kTryAgain,
                  fmt::format("not enough memory for a copy of {} to write a checkpoint from",
                              human_bytes(static_cast<double>(bytes))),
                  "set train.background_checkpoints = false, or use a machine with more memory");
    }
    capacity_ = bytes;
  }
}

void Snapshot::take(std::span<std::span<const std::byte>* const> spans) {
  std::size_t bytes = 0;
  for (const auto* span : spans) bytes += span->size();
  reserve(bytes);
  struct Tile {
    std::byte* to;
    std::span<const std::byte> from;
  };
  std::vector<Tile> tiles;
  std::byte* to = memory_.get();
  for (auto* span : spans) {
    const std::span<const std::byte> from = *span;
    for (std::size_t at = 0; at < from.size(); at += kTile) {
      tiles.push_back({to + at, from.subspan(at, std::min(kTile, from.size() - at))});
    }
    *span = {to, from.size()};
    to += from.size();
  }
  parallel_for(tiles.size(), [&](std::size_t i) {
    std::memcpy(tiles[i].to, tiles[i].from.data(), tiles[i].from.size());
  });
}

}  // namespace nativo::train
