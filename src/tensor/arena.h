// One block of memory for many tensors: sizes are planned first, then allocated once.
// No arithmetic here. Rule: nothing is handed out that was not planned, so a plan's bytes are the
// truth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/device_memory.h"
#include "tensor/view.h"

namespace nativo::tensor {

/// Every slot starts at a multiple of this many bytes (a cache line, an AVX-512 vector; GPUs want
/// 16 for their widest loads).
inline constexpr std::size_t kAlignment = 64;

/// Sizes of tensors to come, by purpose. Offsets are fixed when a slot is added.
class ArenaPlan {
 public:
  struct Slot {
    std::size_t offset = 0;  ///< bytes from the arena's start
    Shape shape;
    std::size_t element_size = 0;
  };
  struct Purpose {
    std::string name;
    std::size_t bytes = 0;
  };

  /// Reserves elements(shape) * sizeof(T) bytes under `purpose` (a word for reports).
  template <class T>
  Slot add(std::string_view purpose, const Shape& shape) {
    return add_bytes(purpose, shape, sizeof(T));
  }

  /// Bytes of the whole block, alignment included.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Bytes by purpose, in the order in which the purposes first appeared.
  [[nodiscard]] const std::vector<Purpose>& purposes() const { return purposes_; }

 private:
  Slot add_bytes(std::string_view purpose, const Shape& shape, std::size_t element_size);

  std::size_t bytes_ = 0;
  std::vector<Purpose> purposes_;
};

/// Owns the memory of one plan at a time. Contents after reserve() are undefined unless zeroed.
class Arena {
 public:
  Arena() = default;
  /// The memory will be `device`'s; nothing is taken yet.
  explicit Arena(const Device& device) : device_(device) {}

  /// Makes room for `plan`: reuses the memory when it is large enough, else allocates anew (views
  /// handed out before are then void). Throws Error(kTryAgain), naming `what` and both sizes, when
  /// the machine (or its cgroup) does not have the memory.
  void reserve(const ArenaPlan& plan, std::string_view what) { reserve(plan.bytes(), what); }
  void reserve(std::size_t bytes, std::string_view what);
  /// Bytes that an empty arena takes from the system for `bytes`: whole huge pages when it is
  /// large.
  [[nodiscard]] static std::size_t capacity_for(std::size_t bytes);

  /// From now on `memory`, which somebody else owns and which outlives the arena's views, is the
  /// arena's: reserve() of up to its size takes nothing from the system. It starts at a multiple of
  /// kAlignment.
  void adopt(std::span<std::byte> memory);

  /// Sets all bytes to zero; on a GPU in order with its ops.
  void zero();

  template <class T>
  [[nodiscard]] View<T> view(const ArenaPlan::Slot& slot) const {
    return View<T>(reinterpret_cast<T*>(at(slot, sizeof(T))), slot.shape, device_);
  }

  [[nodiscard]] std::byte* data() const { return begin_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] const Device& device() const { return device_; }

 private:
  [[nodiscard]] std::byte* at(const ArenaPlan::Slot& slot, std::size_t element_size) const;

  struct Free {
    void operator()(std::byte* memory) const;
  };
  Device device_;
  std::unique_ptr<std::byte[], Free> memory_;  ///< none while the arena's is adopted, or a GPU's
  DeviceMemory device_memory_;
  std::byte* begin_ = nullptr;
  std::size_t capacity_ = 0;
};

/// Bytes that the process may still allocate: the kernel's MemAvailable, or what its cgroup (v1 or
/// v2) leaves if that is less. SIZE_MAX when neither can be read.
[[nodiscard]] std::size_t available_memory();

}  // namespace nativo::tensor
