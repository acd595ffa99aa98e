// GPU memory, streams and events through the CUDA runtime, which is linked statically and finds the
// driver by itself. See the header.
#include "tensor/device_memory.h"

#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <array>
#include <cstring>
#include <mutex>

#include "base/strings.h"
#include "tensor/cuda/check.h"

namespace nativo::tensor {

void cuda_check(cudaError_t status, const char* action) {
  if (status == cudaSuccess) return;
  const bool memory = status == cudaErrorMemoryAllocation;
  throw Error(
      memory ? ExitCode::kTryAgain : ExitCode::kInternal,
      fmt::format("{}: {} ({})", action, cudaGetErrorString(status), cudaGetErrorName(status)),
      memory ? "choose a smaller batch, sequence length or model"
             : "run again with CUDA_LAUNCH_BLOCKING=1 to see which operation it was");
}

namespace {

constexpr int kMostGpus = 64;

/// What this process has of each GPU; made at first use.
struct Gpu {
  std::once_flag once;
  cudaStream_t stream = nullptr;
};

Gpu& gpu(const Device& device) {
  static std::array<Gpu, kMostGpus> all;
  return all[static_cast<std::size_t>(device.index)];
}

void make_current(const Device& device) {
  require_device(device);
  cuda_check(cudaSetDevice(device.index), "cudaSetDevice");
}

cudaError_t count_status(int& count) {
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    count = 0;
    static_cast<void>(cudaGetLastError());
  }
  return status;
}

}  // namespace

int gpu_count() {
  static const int count = [] {
    int found = 0;
    count_status(found);
    return found < kMostGpus ? found : kMostGpus;
  }();
  return count;
}

std::string why_no_gpu() {
  if (gpu_count() > 0) return {};
  int count = 0;
  const cudaError_t status = count_status(count);
  if (status == cudaErrorInsufficientDriver) {
    return "there is no NVIDIA driver, or one too old for this CUDA runtime (nvidia-smi says "
           "which)";
  }
  if (status == cudaSuccess || status == cudaErrorNoDevice) {
    return "no NVIDIA GPU is visible to this process (nvidia-smi, CUDA_VISIBLE_DEVICES)";
  }
  return cudaGetErrorString(status);
}

void require_device(const Device& device) {
  if (!device.is_cuda() || device.index < gpu_count()) return;
  throw Error(ExitCode::kConfig,
              gpu_count() == 0
                  ? fmt::format("{}: {}", device_name(device), why_no_gpu())
                  : fmt::format("{}: this process sees {} GPUs", device_name(device), gpu_count()),
              "choose another device, or cpu");
}

GpuFacts gpu_facts(const Device& device) {
  make_current(device);
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, device.index), "cudaGetDeviceProperties");
  GpuFacts facts;
  facts.name = properties.name;
  facts.capability = 10 * properties.major + properties.minor;
  facts.processors = properties.multiProcessorCount;
  facts.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  facts.uuid = "GPU";
  for (std::size_t i = 0; i < sizeof(properties.uuid.bytes); ++i) {
    if (i == 0 || (i >= 4 && i <= 10 && i % 2 == 0)) facts.uuid += '-';  // as nvidia-smi writes it
    facts.uuid += fmt::format("{:02x}", static_cast<unsigned char>(properties.uuid.bytes[i]));
  }
  cuda_check(cudaMemGetInfo(&facts.available, &facts.memory), "cudaMemGetInfo");
  return facts;
}

DeviceMemory::DeviceMemory(const Device& device, std::size_t bytes, std::string_view what)
    : device_(device), bytes_(bytes) {
  if (bytes == 0) return;
  make_current(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw Error(ExitCode::kTryAgain,
                fmt::format("not enough memory on {} for {}: {} needed, {} available",
                            device_name(device), what, human_bytes(static_cast<double>(bytes)),
                            human_bytes(static_cast<double>(gpu_facts(device).available))),
                "choose a smaller batch, sequence length or model, or more recomputing");
  }
  cuda_check(status, "cudaMalloc");
  data_ = static_cast<std::byte*>(memory);
}

void DeviceMemory::reset() {
  if (data_ != nullptr) static_cast<void>(cudaFree(data_));
  data_ = nullptr;
  bytes_ = 0;
}

PinnedMemory::PinnedMemory(std::size_t bytes, std::string_view what) : bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  // Portable: pinned for every GPU of the process.
  const cudaError_t status = cudaHostAlloc(&memory, bytes, cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw Error(ExitCode::kTryAgain,
                fmt::format("the system does not pin {} of host memory for {}",
                            human_bytes(static_cast<double>(bytes)), what),
                "close other programs, or keep less on the host");
  }
  cuda_check(status, "cudaHostAlloc");
  data_ = static_cast<std::byte*>(memory);
}

void PinnedMemory::reset() {
  if (data_ != nullptr) static_cast<void>(cudaFreeHost(data_));
  data_ = nullptr;
  bytes_ = 0;
}

StreamHandle compute_stream(const Device& device) {
  make_current(device);
  Gpu& own = gpu(device);
  std::call_once(own.once, [&] {
    cuda_check(cudaStreamCreateWithFlags(&own.stream, cudaStreamNonBlocking), "cudaStreamCreate");
  });
  return own.stream;
}

Stream::Stream(const Device& device) {
  make_current(device);
  cuda_check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreate");
}
Stream::~Stream() { static_cast<void>(cudaStreamDestroy(handle_)); }

Event::Event(const Device& device) {
  make_current(device);
  cuda_check(cudaEventCreate(&handle_), "cudaEventCreate");
}
Event::~Event() { static_cast<void>(cudaEventDestroy(handle_)); }
void Event::record(StreamHandle stream) {
  cuda_check(cudaEventRecord(handle_, stream), "cudaEventRecord");
}
void Event::block(StreamHandle stream) const {
  cuda_check(cudaStreamWaitEvent(stream, handle_, 0), "cudaStreamWaitEvent");
}
bool Event::has_passed() const {
  const cudaError_t status = cudaEventQuery(handle_);
  if (status == cudaErrorNotReady) return false;
  cuda_check(status, "cudaEventQuery");
  return true;
}
void Event::wait() const { cuda_check(cudaEventSynchronize(handle_), "cudaEventSynchronize"); }
double Event::seconds_since(const Event& earlier) const {
  float milliseconds = 0.0F;
  cuda_check(cudaEventElapsedTime(&milliseconds, earlier.handle_, handle_), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) / 1e3;
}

void copy_bytes_async(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
}

void zero_bytes_async(void* memory, std::size_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  cuda_check(cudaMemsetAsync(memory, 0, bytes, stream), "cudaMemsetAsync");
}

void synchronize(const Device& device) {
  if (!device.is_cuda()) return;
  make_current(device);
  cuda_check(cudaDeviceSynchronize(), "a GPU operation");
}

void copy_bytes(const Device& to_device, void* to, const Device& from_device, const void* from,
                std::size_t bytes) {
  if (!to_device.is_cuda() && !from_device.is_cuda()) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return;
  }
  const Device& at = to_device.is_cuda() ? to_device : from_device;
  // From one GPU to another: what the source has been given comes first.
  if (from_device.is_cuda() && from_device != at) synchronize(from_device);
  StreamHandle stream = compute_stream(at);
  copy_bytes_async(to, from, bytes, stream);
  cuda_check(cudaStreamSynchronize(stream), "a copy");
}

}  // namespace nativo::tensor
