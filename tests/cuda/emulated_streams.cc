// Memory, streams and events. See emulation/cuda_runtime_api.h. Everything happens under one lock,
// on the thread that waits for it, but NCCL's operations.
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using Clock = std::chrono::steady_clock;
using Lock = std::unique_lock<std::mutex>;

namespace {

/// What an event was recorded as.
struct Mark {
  cudaStream_t stream = nullptr;  ///< that will come to it
  bool has_come = false;
  Clock::time_point when;
};

/// One of a stream's: work, a mark to come to, or one to wait for.
struct Item {
  std::function<void()> work = {};
  std::shared_ptr<Mark> comes = {};
  std::shared_ptr<Mark> waits = {};
  const void* from = nullptr;  ///< of a copy, both
  const void* to = nullptr;
};

enum class Order { kAtOnce, kEarly, kLate, kShuffled };

int number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

/// Of the process.
struct Device {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<cudaStream_t> streams;
  std::map<const char*, std::size_t> memory;  ///< the device's and pinned memory, by its beginning
  Order order = Order::kAtOnce;
  std::uint64_t chance = 1;

  Device() {
    const char* text = std::getenv("NATIVO_EMULATED_STREAMS");
    const std::string_view name = text == nullptr ? "" : text;
    if (name == "early") order = Order::kEarly;
    if (name == "late") order = Order::kLate;
    if (!name.starts_with("shuffled")) return;
    order = Order::kShuffled;
    const std::size_t dash = name.find('-');
    if (dash != std::string_view::npos) chance += std::strtoull(text + dash + 1, nullptr, 10);
  }
  std::uint64_t random(std::uint64_t below) {
    chance = chance * 6364136223846793005U + 1442695040888963407U;
    return (chance >> 33) % below;
  }
};
Device& device() {
  static Device one;
  return one;
}

}  // namespace

// NOLINTBEGIN: names are the CUDA runtime's
struct CUevent_st {
  std::shared_ptr<Mark> mark;  ///< none = never recorded, which counts as passed
};

struct CUstream_st {
  std::deque<Item> queue;
  bool runs_at_once = true;
  bool is_running = false;  ///< on some thread
  bool has_thread = false;  ///< which alone runs it, from its first NCCL operation on
  bool ending = false;
  std::thread thread;

  void serve();
};

namespace {

void wait_for(Lock& lock, const Mark& mark);

/// Runs the first item; `beside`: while others go on.
void step(Lock& lock, CUstream_st& stream, bool beside) {
  stream.is_running = true;
  const Item item = std::move(stream.queue.front());
  if (item.waits) {
    wait_for(lock, *item.waits);
  } else if (item.comes) {
    item.comes->has_come = true;
    item.comes->when = Clock::now();
  } else if (beside) {
    lock.unlock();
    item.work();
    lock.lock();
  } else {
    item.work();
  }
  stream.queue.pop_front();
  stream.is_running = false;
  device().changed.notify_all();
}

/// Lets streams go as far as they must.
void wait_for(Lock& lock, const Mark& mark) {
  while (!mark.has_come) {
    CUstream_st& stream = *mark.stream;
    if (stream.has_thread || stream.is_running) {
      device().changed.wait(lock);
    } else {
      step(lock, stream, /*beside=*/false);
    }
  }
}

void drain(Lock& lock, CUstream_st& stream) {
  while (!stream.queue.empty()) {
    if (stream.has_thread || stream.is_running) {
      device().changed.wait(lock);
    } else {
      step(lock, stream, /*beside=*/false);
    }
  }
}

/// Some stream or other goes on by chance.
void let_some_go_on(Lock& lock) {
  Device& of = device();
  CUstream_st& stream = *of.streams[of.random(of.streams.size())];
  for (std::uint64_t count = of.random(4); count > 0; --count) {
    if (stream.has_thread || stream.is_running || stream.queue.empty()) return;
    step(lock, stream, /*beside=*/false);
  }
}

void add(cudaStream_t stream, Item item) {
  Lock lock(device().mutex);
  const bool is_work = item.work != nullptr;
  stream->queue.push_back(std::move(item));
  device().changed.notify_all();
  if (stream->runs_at_once) {
    // What waits is left waiting: other threads' work may come first.
    if (is_work && !stream->has_thread) drain(lock, *stream);
  } else if (device().order == Order::kShuffled) {
    let_some_go_on(lock);
  }
}

bool is_kept(const void* memory) {
  const std::map<const char*, std::size_t>& all = device().memory;
  const auto* at = static_cast<const char*>(memory);
  auto next = all.upper_bound(at);
  if (next == all.begin()) return false;
  --next;
  return at < next->first + next->second;
}

cudaError_t allocate(void** memory, std::size_t bytes) {
  if (bytes > std::size_t{1} << 40) return cudaErrorMemoryAllocation;
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, 0xA5, bytes);  // nobody may count on zeros
  const Lock lock(device().mutex);
  device().memory[static_cast<const char*>(*memory)] = bytes;
  return cudaSuccess;
}

}  // namespace

void CUstream_st::serve() {
  Lock lock(device().mutex);
  while (true) {
    device().changed.wait(lock, [&] { return ending || !queue.empty(); });
    if (queue.empty()) return;
    step(lock, *this, /*beside=*/true);
  }
}

namespace nativo::emulation {

void run_in(cudaStream_t stream, std::function<void()> work) {
  add(stream, {.work = std::move(work)});
}

void run_beside(cudaStream_t stream, std::function<void()> work) {
  {
    const Lock lock(device().mutex);
    if (!stream->has_thread) stream->thread = std::thread([stream] { stream->serve(); });
    stream->has_thread = true;
  }
  add(stream, {.work = std::move(work)});
}

}  // namespace nativo::emulation

cudaError_t cudaGetDeviceCount(int* count) {
  const int given = number_in_environment("NATIVO_EMULATED_GPUS");
  *count = given == 0 ? 1 : given;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  *properties = {"emulated", 9, 0, 1, 0, {}};
  const bool is_shared = std::getenv("NATIVO_EMULATED_NODE") != nullptr;
  std::snprintf(properties->uuid.bytes, sizeof properties->uuid.bytes, "%d-%d",
                is_shared ? 0 : static_cast<int>(::getpid()), index);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  Lock lock(device().mutex);
  for (const cudaStream_t stream : device().streams) drain(lock, *stream);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes); }
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return allocate(memory, bytes);
}
cudaError_t cudaFreeHost(void* memory) {
  {
    const Lock lock(device().mutex);
    const auto* begin = static_cast<const char*>(memory);
    const auto found = device().memory.find(begin);
    const auto is_inside = [&](const void* of) {
      const auto* at = static_cast<const char*>(of);
      return at >= begin && at < begin + found->second;
    };
    for (const cudaStream_t stream : device().streams) {
      for (const Item& item : stream->queue) {
        if (!is_inside(item.from) && !is_inside(item.to)) continue;
        std::fprintf(stderr, "emulated CUDA: pinned memory is freed that a copy still uses\n");
        std::abort();
      }
    }
    device().memory.erase(found);
  }
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  static_cast<void>(cudaDeviceSynchronize());
  return cudaFreeHost(memory);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Device& of = device();
  const Lock lock(of.mutex);
  *stream = new CUstream_st;
  (*stream)->runs_at_once =
      of.order == Order::kAtOnce || (of.order == Order::kEarly && !of.streams.empty());
  of.streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  {
    Lock lock(device().mutex);
    drain(lock, *stream);
    std::erase(device().streams, stream);
    stream->ending = true;
  }
  device().changed.notify_all();
  if (stream->thread.joinable()) stream->thread.join();
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Lock lock(device().mutex);
  drain(lock, *stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->mark) add(stream, {.waits = event->mark});
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const auto mark = event->mark = std::make_shared<Mark>(Mark{.stream = stream, .when = {}});
  {
    const Lock lock(device().mutex);
    if (stream->runs_at_once && stream->queue.empty()) {
      mark->has_come = true;
      mark->when = Clock::now();
      return cudaSuccess;
    }
  }
  add(stream, {.comes = mark});
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(device().mutex);
  return !event->mark || event->mark->has_come ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Lock lock(device().mutex);
  if (event->mark) wait_for(lock, *event->mark);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const Lock lock(device().mutex);
  *milliseconds =
      std::chrono::duration<float, std::milli>(to->mark->when - from->mark->when).count();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  bool from_is_kept = false;
  bool to_is_kept = false;
  {
    const Lock lock(device().mutex);
    from_is_kept = is_kept(from);
    to_is_kept = is_kept(to);
  }
  if (from_is_kept) {
    add(stream, {.work = [=] { std::memmove(to, from, bytes); }, .from = from, .to = to});
  } else {
    const auto* begin = static_cast<const char*>(from);
    add(stream, {.work = [to, staged = std::vector<char>(begin, begin + bytes)] {
          std::memcpy(to, staged.data(), staged.size());
        }});
  }
  if (!to_is_kept) return cudaStreamSynchronize(stream);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  add(stream, {.work = [=] { std::memset(memory, value, bytes); }});
  return cudaSuccess;
}
// NOLINTEND
