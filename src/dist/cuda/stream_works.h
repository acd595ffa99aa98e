// The collectives that a communicator of GPUs has under way, on a stream of their own, and the
// thread that watches them: it gives up what takes too long, counts what the GPU has waited.
// Not here: which operations there are (nccl.cc). Not for other folders.
// Rule: the host starts and goes on; only this thread looks whether something is over.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dist/communicator.h"
#include "dist/cuda/nccl_library.h"
#include "tensor/device_memory.h"

namespace nativo::dist {

class StreamWorks {
 public:
  /// Collective over `host`, which outlives this.
  StreamWorks(std::shared_ptr<const NcclLibrary> nccl, Communicator& host,
              const tensor::Device& device);
  ~StreamWorks() { stop(/*gives_up=*/true); }

  /// From now on `comm` is this one's.
  void serve(ncclComm_t comm);
  /// Ends the thread and the connection; `gives_up`: without waiting for what is under way.
  void stop(bool gives_up);

  /// Runs issue(comm, stream) behind all that the compute stream was given, and watches what comes
  /// of it. Throws what `issue` throws, and as check().
  [[nodiscard]] Pending start(const Operation& operation,
                              const std::function<void(ncclComm_t, cudaStream_t)>& issue);

  /// Throws what was given up.
  void check();
  void set_timeout(double seconds) { timeout_ = seconds; }
  void abandon();
  /// Seconds that the compute stream has stood still for operations of a kind.
  [[nodiscard]] double waited(OperationKind kind) const {
    return seconds_[static_cast<std::size_t>(kind)];
  }

 private:
  /// The moments of one operation; used again and again.
  struct Moments {
    explicit Moments(const tensor::Device& device)
        : ready(device), done(device), stopped(device), resumed(device) {}
    tensor::Event ready;    ///< what it reads is there
    tensor::Event done;     ///< it is over
    tensor::Event stopped;  ///< the compute stream has come to where it is needed
    tensor::Event resumed;  ///< and goes on
  };
  struct Work;

  void block_compute(Work& work);
  void watch();
  void look();
  void give_up(const Work& work, const std::string& reason);
  void abort();
  [[nodiscard]] std::string who_is_missing(std::uint64_t number) const;
  [[nodiscard]] std::unique_ptr<Moments> take_moments();

  /// How far a rank of this node has come; each writes its own.
  struct alignas(64) Line {
    std::atomic<std::uint64_t> started;
  };

  std::shared_ptr<const NcclLibrary> nccl_;
  tensor::Device device_;
  Place place_;
  std::vector<int> neighbours_;  ///< the ranks of this node
  Line* lines_ = nullptr;        ///< theirs
  tensor::Stream stream_;
  std::atomic<double> timeout_ = 0.0;
  std::array<std::atomic<double>, 5> seconds_{};

  std::timed_mutex comm_mutex_;  ///< whoever calls NCCL
  ncclComm_t comm_ = nullptr;

  std::mutex mutex_;  ///< of all below
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Work>> works_;  ///< not over, or not counted yet
  std::vector<std::unique_ptr<Moments>> free_;
  std::uint64_t started_ = 0;
  std::string failure_;  ///< "" = none
  bool is_abandoned_ = false;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace nativo::dist
