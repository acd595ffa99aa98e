// GPUs in a build that has none: there are 0, and whoever asks for one is told so.
#include "tensor/device_memory.h"

#include <cstring>

namespace nativo::tensor {
namespace {

[[noreturn]] void absent(const Device& device) {
  throw Error(ExitCode::kConfig, device_name(device) + ": this nativo was built without CUDA",
              "build the preset cuda where nvcc is installed (docs/cuda.md), or use device cpu");
}

}  // namespace

int gpu_count() { return 0; }
std::string why_no_gpu() { return "this nativo was built without CUDA (docs/cuda.md)"; }

void require_device(const Device& device) {
  if (device.is_cuda()) absent(device);
}

GpuFacts gpu_facts(const Device& device) { absent(device); }

DeviceMemory::DeviceMemory(const Device& device, std::size_t /*bytes*/, std::string_view /*what*/) {
  absent(device);
}
void DeviceMemory::reset() {}

PinnedMemory::PinnedMemory(std::size_t /*bytes*/, std::string_view /*what*/) {
  absent(Device::cuda(0));
}
void PinnedMemory::reset() {}

StreamHandle compute_stream(const Device& device) { absent(device); }

Stream::Stream(const Device& device) { absent(device); }
Stream::~Stream() = default;

Event::Event(const Device& device) { absent(device); }
Event::~Event() = default;
void Event::record(StreamHandle /*stream*/) {}
void Event::block(StreamHandle /*stream*/) const {}
void Event::wait() const { NATIVO_CHECK(handle_ == nullptr, "no event was ever made"); }
bool Event::has_passed() const { return true; }
double Event::seconds_since(const Event& /*earlier*/) const { return 0.0; }

void copy_bytes_async(void* /*to*/, const void* /*from*/, std::size_t /*bytes*/,
                      StreamHandle /*stream*/) {
  absent(Device::cuda(0));
}
void zero_bytes_async(void* /*memory*/, std::size_t /*bytes*/, StreamHandle /*stream*/) {
  absent(Device::cuda(0));
}
void synchronize(const Device& device) { require_device(device); }

void copy_bytes(const Device& to_device, void* to, const Device& from_device, const void* from,
                std::size_t bytes) {
  require_device(to_device);
  require_device(from_device);
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace nativo::tensor
