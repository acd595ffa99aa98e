// The part of the CUDA runtime that nativo uses, on host memory: a device that is the processor.
// For tests of kernels where there is no GPU. A stream runs everything at once until something is
// put into it that waits for others (an emulated NCCL operation, an event that has not come): from
// then on it is a queue, and a kernel or a copy first waits for what is before it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>

// NOLINTBEGIN: names are the CUDA runtime's
using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0;
constexpr cudaError_t cudaErrorMemoryAllocation = 2;
constexpr cudaError_t cudaErrorInsufficientDriver = 35;
constexpr cudaError_t cudaErrorNoDevice = 100;
constexpr cudaError_t cudaErrorNotReady = 600;
struct CUstream_st;
struct CUevent_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaHostAllocPortable = 1;
enum cudaMemcpyKind { cudaMemcpyDefault = 4 };
struct cudaUUID_t {
  char bytes[16];
};
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount, l2CacheSize;
  cudaUUID_t uuid;
};

namespace nativo::emulation {
/// `work` comes after all that is in the stream, on a thread of the stream's own.
void enqueue(cudaStream_t stream, std::function<void()> work);
/// Returns when the stream is empty.
void drain(cudaStream_t stream);
}  // namespace nativo::emulation

inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
/// NATIVO_EMULATED_GPUS in the environment, else 1.
cudaError_t cudaGetDeviceCount(int* count);
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize();
/// Every process has GPUs of its own, or, with NATIVO_EMULATED_NODE, those of all processes.
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
inline cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* all) {
  *available = *all = std::size_t{1} << 30;
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  if (bytes > std::size_t{1} << 40) return cudaErrorMemoryAllocation;
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, 0xA5, bytes);  // nobody may count on zeros
  return cudaSuccess;
}
inline cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return cudaMalloc(memory, bytes);
}
inline cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  static_cast<void>(cudaDeviceSynchronize());
  return cudaFreeHost(memory);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  nativo::emulation::drain(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t stream) {
  nativo::emulation::drain(stream);
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes,
                                   cudaStream_t stream) {
  nativo::emulation::drain(stream);
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
// NOLINTEND
