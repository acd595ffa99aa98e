// Copies of memory that goes on being used: made by a thread beside the work, and by the work
// itself of what it is about to change and nobody has copied yet. Not here: what is copied, and to
// where (snapshot.h, neighbour_memory.h). Rule: the copy has the bytes of the moment of begin();
// for that, nobody changes any of them before before_change() has returned for them.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "tensor/any_view.h"
#include "tensor/device.h"
#include "tensor/device_memory.h"

namespace nativo::train {

/// Where numbers lie, on their device.
[[nodiscard]] std::span<const std::byte> bytes_of(const tensor::AnyView& numbers);

class DeferredCopy {
 public:
  struct Piece {
    std::span<const std::byte> from;  ///< on the host or a GPU
    std::byte* to = nullptr;          ///< on the host
    tensor::Device device = {};       ///< of `from`
    bool widens = false;              ///< `from` is bf16, and becomes f32: twice the bytes
  };

  /// The pieces, which do not overlap, are to be copied; nothing has been read when this returns,
  /// and `from` and `to` stay where they are until finish() has returned. `device`: what a GPU has
  /// been given so far comes first. What is left of the copy before is given up. Not while another
  /// call is at work.
  void begin(std::vector<Piece> pieces, const tensor::Device& device = {});

  /// Copies what nobody has copied yet, one after the other; when it returns, all is there. Of a
  /// GPU on a stream of its own, beside what is computed. Any thread.
  void finish();

  /// When it returns, `bytes` may change: what of them had not been copied yet is copied on all
  /// threads, and what another thread is just copying is waited for. Any thread.
  void before_change(std::span<const std::byte> bytes);

 private:
  enum State : int { kLive, kBusy, kDone };
  struct Tile {
    Piece piece;
    std::atomic<int> state = kLive;
  };
  class GpuReader;

  void complete(Tile& tile, GpuReader* reader);
  bool try_copy(Tile& tile, GpuReader* reader);

  std::vector<Tile> tiles_;            ///< by address
  std::atomic<std::size_t> live_ = 0;  ///< tiles that are not done
  tensor::Device device_;
  std::optional<tensor::Event> ready_;  ///< of device_: what it was given before begin() is done
};

}  // namespace nativo::train
