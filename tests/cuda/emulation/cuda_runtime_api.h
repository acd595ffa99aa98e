// The part of the CUDA runtime that nativo uses, on host memory: a device that is the processor.
// For tests of kernels where there is no GPU. What a stream is given, it runs at once; but for
// emulated NCCL operations, which wait for other processes on a thread of their stream's own, and
// what waits for them.
// NATIVO_EMULATED_STREAMS in the environment lets streams run apart, as those of a GPU may: an
// operation that is not waited for is found by what has not happened yet, or too early.
//   early     the compute stream (the first) runs when it is waited for, the others at once
//   late      all run when they are waited for
//   shuffled  all run by chance or when they are waited for; shuffled-N: by other chances
#pragma once

#include <cstddef>
#include <cstdlib>
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
/// `work`, a kernel, comes after all that is in the stream.
void run_in(cudaStream_t stream, std::function<void()> work);
/// The same of work that waits for other processes: beside everything else from now on.
void run_beside(cudaStream_t stream, std::function<void()> work);
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
cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned flags);
/// Ends with a message when something is under way that uses the memory.
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaFree(void* memory);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
/// To or from the host's memory that is not pinned, it returns when that is free for other use.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);
// NOLINTEND
