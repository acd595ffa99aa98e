#include "train/deferred_copy.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/bf16.h"

namespace nativo::train {
namespace {

// Bytes copied at once: an update waits no longer than for one of them.
constexpr std::size_t kTile = std::size_t{1} << 20;
constexpr std::size_t kGpuTile = std::size_t{16} << 20;

std::size_t tile_bytes(const DeferredCopy::Piece& piece) {
  return piece.device.is_cuda() ? kGpuTile : kTile;
}

/// `from` is on the host.
void copy_on_host(const std::byte* from, std::size_t bytes, bool widens, std::byte* to) {
  if (!widens) {
    std::memcpy(to, from, bytes);
    return;
  }
  for (std::size_t at = 0; at < bytes; at += sizeof(tensor::bf16)) {
    tensor::bf16 narrow;
    std::memcpy(&narrow, from + at, sizeof narrow);
    const float wide = tensor::to_f32(narrow);
    std::memcpy(to + 2 * at, &wide, sizeof wide);
  }
}

}  // namespace

std::span<const std::byte> bytes_of(const tensor::AnyView& numbers) {
  const auto of_type = []<class T>(const tensor::View<T>& view) {
    return std::span(reinterpret_cast<const std::byte*>(view.data()),
                     static_cast<std::size_t>(view.elements()) * sizeof(T));
  };
  return std::visit(of_type, numbers);
}

/// What one thread reads a GPU's memory with while the GPU computes.
class DeferredCopy::GpuReader {
 public:
  /// From `ready` on.
  GpuReader(const tensor::Device& device, const tensor::Event& ready)
      : stream_(device), read_(device), staged_(kGpuTile, "copies of a GPU's memory") {
    ready.wait();
  }

  void copy(const Piece& piece) {
    tensor::copy_bytes_async(staged_.data(), piece.from.data(), piece.from.size(),
                             stream_.handle());
    read_.record(stream_.handle());
    read_.wait();
    copy_on_host(staged_.data(), piece.from.size(), piece.widens, piece.to);
  }

 private:
  tensor::Stream stream_;
  tensor::Event read_;
  tensor::PinnedMemory staged_;
};

void DeferredCopy::begin(std::vector<Piece> pieces, const tensor::Device& device) {
  NATIVO_CHECK(std::ranges::all_of(pieces,
                                   [&](const Piece& piece) {
                                     return !piece.device.is_cuda() || piece.device == device;
                                   }),
               "one GPU at a time");
  std::erase_if(pieces, [](const Piece& piece) { return piece.from.empty(); });
  std::ranges::sort(pieces, std::less<>(), [](const Piece& piece) { return piece.from.data(); });
  std::size_t count = 0;
  for (const Piece& piece : pieces) {
    count += (piece.from.size() + tile_bytes(piece) - 1) / tile_bytes(piece);
  }
  tiles_ = std::vector<Tile>(count);
  auto tile = tiles_.begin();
  for (const Piece& piece : pieces) {
    const std::size_t size = tile_bytes(piece);
    for (std::size_t at = 0; at < piece.from.size(); at += size, ++tile) {
      tile->piece = piece;
      tile->piece.from = piece.from.subspan(at, std::min(size, piece.from.size() - at));
      tile->piece.to = piece.to + (piece.widens ? 2 * at : at);
    }
  }
  device_ = device;
  ready_.reset();
  if (device.is_cuda()) ready_.emplace(device).record(tensor::compute_stream(device));
  live_ = count;
}

/// False when another thread is at it, or has been.
bool DeferredCopy::try_copy(Tile& tile, GpuReader* reader) {
  int expected = kLive;
  if (!tile.state.compare_exchange_strong(expected, kBusy)) return false;
  const auto end = [&](State state) {
    tile.state = state;
    tile.state.notify_all();
  };
  try {
    const Piece& piece = tile.piece;
    if (piece.device.is_cuda()) {
      reader->copy(piece);
    } else {
      copy_on_host(piece.from.data(), piece.from.size(), piece.widens, piece.to);
    }
  } catch (...) {
    end(kLive);
    throw;
  }
  end(kDone);
  --live_;
  return true;
}

void DeferredCopy::complete(Tile& tile, GpuReader* reader) {
  for (;;) {
    if (try_copy(tile, reader) || tile.state == kDone) return;
    tile.state.wait(kBusy);
  }
}

void DeferredCopy::finish() {
  if (live_ == 0) return;
  std::optional<GpuReader> reader;
  if (device_.is_cuda()) reader.emplace(device_, *ready_);
  for (Tile& tile : tiles_) try_copy(tile, reader ? &*reader : nullptr);
  for (Tile& tile : tiles_) complete(tile, reader ? &*reader : nullptr);
}

void DeferredCopy::before_change(std::span<const std::byte> bytes) {
  if (live_ == 0 || bytes.empty()) return;
  const std::less<> before;
  const auto first = std::ranges::partition_point(tiles_, [&](const Tile& tile) {
    return !before(bytes.data(), tile.piece.from.data() + tile.piece.from.size());
  });
  std::vector<Tile*> concerned;
  for (auto tile = first; tile != tiles_.end(); ++tile) {
    if (!before(tile->piece.from.data(), bytes.data() + bytes.size())) break;
    if (tile->state != kDone) concerned.push_back(&*tile);
  }
  if (concerned.empty()) return;
  if (device_.is_cuda()) {
    GpuReader reader(device_, *ready_);
    for (Tile* tile : concerned) complete(*tile, &reader);
    return;
  }
  parallel_for(concerned.size(), [&](std::size_t i) { try_copy(*concerned[i], nullptr); });
  for (Tile* tile : concerned) complete(*tile, nullptr);
}

}  // namespace nativo::train
