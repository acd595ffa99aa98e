// Host memory that a GPU works on piece by piece, through two buffers that take turns: while ops
// work on one piece, the one before it goes back and the next one comes. Not here: what is
// computed. Rule: nobody waits but streams for each other.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "tensor/arena.h"
#include "tensor/device_memory.h"

namespace nativo::tensor {

class HostWindow {
 public:
  /// For pieces whose ranges take up to `piece_bytes`, each rounded up to whole kAlignment.
  HostWindow(const Device& device, std::size_t piece_bytes, std::string_view what);

  /// Copies ranges of pinned memory to the GPU: places[i] is where ranges[i] is for the ops that
  /// are called until close().
  void open(std::span<const std::span<std::byte>> ranges, std::span<std::byte*> places);
  /// What they have made of it goes back to the ranges, which stay where they are until then.
  void close();
  /// The device's ops from now on, and copies of whatever is opened next, come after all that goes
  /// back.
  void finish();

  [[nodiscard]] const Device& device() const { return device_; }
  /// Taken from the device.
  [[nodiscard]] std::size_t bytes() const { return memory_.capacity(); }
  [[nodiscard]] static std::size_t bytes_for(std::size_t piece_bytes);

 private:
  static constexpr std::size_t kMostRanges = 4;
  struct Copy {
    std::span<std::byte> host;
    std::byte* there = nullptr;
  };
  struct Buffer {
    explicit Buffer(const Device& device) : arrived(device), used(device), left(device) {}
    std::byte* memory = nullptr;
    std::array<Copy, kMostRanges> copies;
    std::size_t count = 0;
    Event arrived;  ///< on the GPU
    Event used;     ///< by the ops
    Event left;     ///< the GPU
    bool was_used = false;
  };

  Device device_;
  Arena memory_;
  std::size_t size_;
  Stream in_;
  Stream out_;
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
};

}  // namespace nativo::tensor
