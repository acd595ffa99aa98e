// Streams and events. See emulation/cuda_runtime_api.h.
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

using Clock = std::chrono::steady_clock;

namespace {

/// What an event was recorded as.
struct Mark {
  std::mutex mutex;
  std::condition_variable changed;
  bool has_come = false;
  Clock::time_point when;

  void come() {
    {
      const std::lock_guard lock(mutex);
      has_come = true;
      when = Clock::now();
    }
    changed.notify_all();
  }
  bool query() {
    const std::lock_guard lock(mutex);
    return has_come;
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return has_come; });
  }
};

struct AllStreams {
  std::mutex mutex;
  std::set<cudaStream_t> streams;
};
AllStreams& all_streams() {
  static AllStreams all;
  return all;
}

int number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

}  // namespace

// NOLINTBEGIN: names are the CUDA runtime's
struct CUevent_st {
  std::shared_ptr<Mark> mark;  ///< none = never recorded, which counts as passed
};

struct CUstream_st {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  std::size_t unfinished = 0;
  bool ending = false;
  std::thread thread;

  void add(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex);
      if (!thread.joinable()) thread = std::thread([this] { serve(); });
      queue.push_back(std::move(work));
      ++unfinished;
    }
    changed.notify_all();
  }
  bool is_empty() {
    const std::lock_guard lock(mutex);
    return unfinished == 0;
  }
  void drain() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return unfinished == 0; });
  }
  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return ending || !queue.empty(); });
      if (queue.empty()) return;
      const std::function<void()> work = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      work();
      lock.lock();
      --unfinished;
      changed.notify_all();
    }
  }
  ~CUstream_st() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    changed.notify_all();
    if (thread.joinable()) thread.join();
  }
};

namespace nativo::emulation {

void enqueue(cudaStream_t stream, std::function<void()> work) { stream->add(std::move(work)); }
void drain(cudaStream_t stream) { stream->drain(); }

}  // namespace nativo::emulation

cudaError_t cudaGetDeviceCount(int* count) {
  const int given = number_in_environment("NATIVO_EMULATED_GPUS");
  *count = given == 0 ? 1 : given;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {"emulated", 9, 0, 1, 0, {}};
  const bool is_shared = std::getenv("NATIVO_EMULATED_NODE") != nullptr;
  std::snprintf(properties->uuid.bytes, sizeof properties->uuid.bytes, "%d-%d",
                is_shared ? 0 : static_cast<int>(::getpid()), device);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  AllStreams& all = all_streams();
  const std::lock_guard lock(all.mutex);
  for (const cudaStream_t stream : all.streams) stream->drain();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  AllStreams& all = all_streams();
  const std::lock_guard lock(all.mutex);
  all.streams.insert(*stream = new CUstream_st);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  {
    AllStreams& all = all_streams();
    const std::lock_guard lock(all.mutex);
    all.streams.erase(stream);
  }
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::shared_ptr<Mark> mark = event->mark;
  if (mark && !(stream->is_empty() && mark->query())) stream->add([mark] { mark->wait(); });
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
  const auto mark = event->mark = std::make_shared<Mark>();
  if (stream->is_empty()) {
    mark->come();
  } else {
    stream->add([mark] { mark->come(); });
  }
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return !event->mark || event->mark->query() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->mark) event->mark->wait();
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds =
      std::chrono::duration<float, std::milli>(to->mark->when - from->mark->when).count();
  return cudaSuccess;
}
// NOLINTEND
