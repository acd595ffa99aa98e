// Memory of GPUs, host memory that they read by themselves, and what orders work on them. Not here:
// what is computed (ops/), what is planned (tensor/arena.h). Rule: nothing allocates inside a
// training step; all work of a device runs in order on its compute stream unless it is said to run
// on a stream of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "tensor/device.h"
#include "tensor/view.h"

// The CUDA runtime's own types, so that nobody needs its headers to hold a handle.
struct CUstream_st;
struct CUevent_st;

namespace nativo::tensor {

using StreamHandle = CUstream_st*;

/// GPUs that this process can use. 0 in a build without CUDA, without a driver, without a GPU:
/// why_no_gpu() says which. Never throws.
[[nodiscard]] int gpu_count();
/// One sentence when gpu_count() is 0, else empty.
[[nodiscard]] std::string why_no_gpu();
/// Throws Error(kConfig) naming `device` when it is a GPU that this process cannot use.
void require_device(const Device& device);

struct GpuFacts {
  std::string name;
  int capability = 0;  ///< 10 * major + minor: 90 is Hopper
  int processors = 0;  ///< streaming multiprocessors
  std::size_t memory = 0;
  std::size_t available = 0;  ///< as the driver reports it now
  std::size_t l2_bytes = 0;
  std::string uuid;  ///< the same in every process that sees this GPU: "GPU-0a1b...", in hex
};
[[nodiscard]] GpuFacts gpu_facts(const Device& device);

/// Bytes on a GPU. Contents are undefined.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  /// Throws Error(kTryAgain), naming `what`, the device and both sizes, when it does not suffice.
  DeviceMemory(const Device& device, std::size_t bytes, std::string_view what);
  ~DeviceMemory() { reset(); }
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  void reset();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] const Device& device() const { return device_; }

 private:
  void swap(DeviceMemory& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device device_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Host memory that stays where it is (page-locked), so that copies to and from GPUs run beside
/// everything else. Ordinary memory would do, but then a copy blocks its caller.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  /// Throws Error(kTryAgain), naming `what`, when the system does not give so much of it.
  PinnedMemory(std::size_t bytes, std::string_view what);
  ~PinnedMemory() { reset(); }
  PinnedMemory(PinnedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  void reset();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// The stream on which all ops of a GPU run, in the order in which they are called; makes the
/// device the calling thread's. It lives as long as the process.
[[nodiscard]] StreamHandle compute_stream(const Device& device);

/// A stream beside the compute stream, for copies that run while the device computes.
class Stream {
 public:
  explicit Stream(const Device& device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  [[nodiscard]] StreamHandle handle() const { return handle_; }

 private:
  StreamHandle handle_ = nullptr;
};

/// A moment in a stream. Streams wait for it without the host.
class Event {
 public:
  explicit Event(const Device& device);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(StreamHandle stream);
  /// All that `stream` is given from now on comes after the recorded moment.
  void block(StreamHandle stream) const;
  /// The host waits.
  void wait() const;
  /// Whether it has come. Throws Error(kInternal) when some of the work before it failed.
  [[nodiscard]] bool has_passed() const;
  /// Seconds from `earlier`, after both have passed.
  [[nodiscard]] double seconds_since(const Event& earlier) const;

 private:
  CUevent_st* handle_ = nullptr;
};

/// Copies bytes between any two places, in order on `stream`; returns at once when host memory is
/// pinned, and the memory belongs to the copy until the stream has passed it.
void copy_bytes_async(void* to, const void* from, std::size_t bytes, StreamHandle stream);
/// The bytes are zero once `stream` has passed.
void zero_bytes_async(void* memory, std::size_t bytes, StreamHandle stream);
/// Returns when all work given to the device so far is done. Throws Error(kInternal) when some of
/// it failed.
void synchronize(const Device& device);

/// Copies between views of equal shape on any devices, in order with the GPU's ops, and waits: for
/// setting up and tests, not for a step.
void copy_bytes(const Device& to_device, void* to, const Device& from_device, const void* from,
                std::size_t bytes);
template <class T, class U>
void copy(const View<T>& from, const View<U>& to) {
  static_assert(std::is_same_v<std::remove_const_t<T>, U>);
  NATIVO_CHECK(from.shape() == to.shape(), "copy: shapes differ");
  copy_bytes(to.device(), to.data(), from.device(), from.data(),
             static_cast<std::size_t>(from.elements()) * sizeof(U));
}

}  // namespace nativo::tensor
