#include "model/offloaded_inputs.h"

#include "base/error.h"

namespace nativo::model {

OffloadedInputs::OffloadedInputs(const tensor::Device& device, std::size_t bytes)
    : device_(device),
      host_(bytes, "the layers' inputs"),
      out_(device),
      in_(device),
      computed_(device),
      sent_(device),
      free_(device),
      fetched_{tensor::Event(device), tensor::Event(device)} {}

// What the pass before has left is copied no more: the ops of its backward pass waited for it.
void OffloadedInputs::begin(std::int64_t first_layer, std::size_t bytes) {
  first_layer_ = first_layer;
  bytes_ = bytes;
}

std::byte* OffloadedInputs::at(std::int64_t layer) const {
  const std::size_t begin = static_cast<std::size_t>(layer - first_layer_) * bytes_;
  NATIVO_CHECK(layer >= first_layer_ && begin + bytes_ <= host_.bytes(), "an offloaded layer");
  return host_.data() + begin;
}

void OffloadedInputs::send(std::int64_t layer, const void* input) {
  computed_.record(tensor::compute_stream(device_));
  computed_.block(out_.handle());
  tensor::copy_bytes_async(at(layer), input, bytes_, out_.handle());
  sent_.record(out_.handle());
}

void OffloadedInputs::settle() { sent_.block(tensor::compute_stream(device_)); }

void OffloadedInputs::fetch(std::int64_t layer, void* input) {
  free_.record(tensor::compute_stream(device_));
  free_.block(in_.handle());
  tensor::copy_bytes_async(input, at(layer), bytes_, in_.handle());
  fetched_[static_cast<std::size_t>(layer) % 2].record(in_.handle());
}

void OffloadedInputs::await(std::int64_t layer) {
  fetched_[static_cast<std::size_t>(layer) % 2].block(tensor::compute_stream(device_));
}

}  // namespace nativo::model
