// The layers' inputs, which a pass with Recompute::kBlock keeps, on the host between a GPU's
// forward and backward pass: on the GPU there are two at a time. Not for other folders. Rule:
// copies run beside the layers; streams wait for each other, the host does not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/device_memory.h"

namespace nativo::model {

class OffloadedInputs {
 public:
  /// Pins `bytes` on the host. Throws as PinnedMemory.
  OffloadedInputs(const tensor::Device& device, std::size_t bytes);

  [[nodiscard]] std::size_t host_bytes() const { return host_.bytes(); }

  /// A pass begins that offloads the inputs of the layers from `first_layer` on, `bytes` each:
  /// together at most host_bytes().
  void begin(std::int64_t first_layer, std::size_t bytes);

  /// Up, in ascending order: copies the input of `layer`, which the ops called so far compute.
  void send(std::int64_t layer, const void* input);
  /// Ops from now on may use the memory that was sent last for something else.
  void settle();

  /// Down, in descending order, after settle(): copies it to `input`, which the ops called so far
  /// are done with.
  void fetch(std::int64_t layer, void* input);
  /// Ops from now on find the input of `layer`, which was fetched.
  void await(std::int64_t layer);

 private:
  [[nodiscard]] std::byte* at(std::int64_t layer) const;

  tensor::Device device_;
  tensor::PinnedMemory host_;
  std::int64_t first_layer_ = 0;
  std::size_t bytes_ = 0;  ///< of one input in this pass
  tensor::Stream out_;
  tensor::Stream in_;
  tensor::Event computed_;
  tensor::Event sent_;
  tensor::Event free_;
  std::array<tensor::Event, 2> fetched_;  ///< by layer % 2: two are on their way at most
};

}  // namespace nativo::model
