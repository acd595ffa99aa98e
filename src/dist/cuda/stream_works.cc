#include "dist/cuda/stream_works.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace nativo::dist {
namespace {

constexpr auto kLook = std::chrono::milliseconds(2);  ///< between two looks at what is under way
constexpr auto kAbort = std::chrono::seconds(30);     ///< for a call of NCCL to return

Error lost(const std::string& reason) {
  return Error(ExitCode::kTryAgain, reason,
               "look at what these ranks were doing; dist.timeout says how long the others wait, "
               "NCCL_DEBUG=WARN says more");
}

}  // namespace

struct StreamWorks::Work final : Pending::State {
  void wait() override { owner->block_compute(*this); }

  StreamWorks* owner = nullptr;
  OperationKind kind = OperationKind::kBarrier;
  const char* name = "";
  std::uint64_t number = 0;  ///< from 1, the same on all ranks
  std::unique_ptr<Moments> moments;
  double begun = 0.0;  ///< when nothing but other ranks could keep it; 0 = not yet
  bool is_over = false;
  bool is_needed = false;  ///< the compute stream waits for it
};

StreamWorks::StreamWorks(std::shared_ptr<const NcclLibrary> nccl, Communicator& host,
                         const tensor::Device& device)
    : nccl_(std::move(nccl)), device_(device), place_(host.place()), stream_(device) {
  const double node = place_.node;
  const std::vector<double> nodes = all_gather_numbers(host, std::span(&node, 1));
  for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
    if (static_cast<int>(nodes[rank]) == place_.node) neighbours_.push_back(static_cast<int>(rank));
  }
  lines_ = reinterpret_cast<Line*>(  // zeroed, which is a valid beginning
      host.allocate_shared(neighbours_.size() * sizeof(Line), "how far the GPUs' ranks are")
          .data());
  static_cast<void>(tensor::compute_stream(device_));  // makes the device the thread's
}

void StreamWorks::serve(ncclComm_t comm) {
  comm_ = comm;
  thread_ = std::thread([this] { watch(); });
}

void StreamWorks::stop(bool gives_up) {
  const auto is_over = [&] {
    const std::lock_guard lock(mutex_);
    return !failure_.empty() || std::ranges::all_of(works_, &Work::is_over);
  };
  while (!gives_up && !is_over()) std::this_thread::sleep_for(kLook);
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    gives_up = gives_up || !failure_.empty();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (gives_up) return abort();
  if (comm_ != nullptr) static_cast<void>(nccl_->destroy(std::exchange(comm_, nullptr)));
}

std::unique_ptr<StreamWorks::Moments> StreamWorks::take_moments() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Moments> moments = std::move(free_.back());
      free_.pop_back();
      return moments;
    }
  }
  return std::make_unique<Moments>(device_);
}

Pending StreamWorks::start(const Operation& operation,
                           const std::function<void(ncclComm_t, cudaStream_t)>& issue) {
  check();
  const auto work = std::make_shared<Work>();
  work->owner = this;
  work->kind = operation.kind;
  work->name = operation.name;
  work->number = ++started_;
  work->moments = take_moments();
  lines_[place_.node_rank].started.store(work->number, std::memory_order_release);
  {
    const std::lock_guard lock(comm_mutex_);
    if (comm_ == nullptr) throw lost(std::string(operation.name) + ": the GPUs are not connected");
    work->moments->ready.record(tensor::compute_stream(device_));
    work->moments->ready.block(stream_.handle());
    issue(comm_, stream_.handle());
    work->moments->done.record(stream_.handle());
  }
  {
    const std::lock_guard lock(mutex_);
    works_.push_back(work);
  }
  changed_.notify_all();
  return Pending(work);
}

void StreamWorks::block_compute(Work& work) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw lost(failure_);
  if (work.is_over || work.is_needed) return;
  const tensor::StreamHandle compute = tensor::compute_stream(device_);
  work.moments->stopped.record(compute);
  work.moments->done.block(compute);
  work.moments->resumed.record(compute);
  work.is_needed = true;
}

void StreamWorks::check() {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw lost(failure_);
}

void StreamWorks::abandon() {
  {
    const std::lock_guard lock(mutex_);
    is_abandoned_ = true;
  }
  changed_.notify_all();
}

void StreamWorks::watch() {
  static_cast<void>(tensor::compute_stream(device_));  // makes the device the thread's
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    if (works_.empty() || !failure_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_for(lock, kLook);
    }
    if (!failure_.empty()) continue;
    try {
      look();
    } catch (const std::exception& error) {
      failure_ = error.what();
      abort();
    }
  }
}

/// Under mutex_.
void StreamWorks::look() {
  const Work* late = nullptr;
  std::string reason;
  bool is_first = true;
  for (const std::shared_ptr<Work>& work : works_) {
    if (!work->is_over) work->is_over = work->moments->done.has_passed();
    if (work->is_over || !is_first) continue;
    is_first = false;
    if (work->begun == 0.0 && work->moments->ready.has_passed()) work->begun = monotonic_seconds();
    const double limit = timeout_;
    if (is_abandoned_) {
      late = work.get();
      reason = "given up";
    } else if (limit > 0.0 && work->begun > 0.0 && monotonic_seconds() - work->begun > limit) {
      late = work.get();
    }
  }
  if (late == nullptr && !is_first) {  // does NCCL itself say something?
    const std::unique_lock lock(comm_mutex_, std::try_to_lock);
    ncclResult_t status = ncclSuccess;
    if (lock && comm_ != nullptr) static_cast<void>(nccl_->async_error(comm_, &status));
    if (status != ncclSuccess && status != ncclInProgress) {
      reason = nccl_->error_string(status);
      late = std::ranges::find(works_, false, &Work::is_over)->get();
    }
  }
  if (late != nullptr) return give_up(*late, reason);
  std::erase_if(works_, [&](const std::shared_ptr<Work>& work) {
    // Who holds it may still want to wait for it.
    const bool is_done = work->is_over && (work->is_needed ? work->moments->resumed.has_passed()
                                                           : work.use_count() == 1);
    if (!is_done) return false;
    if (work->is_needed) {
      seconds_[static_cast<std::size_t>(work->kind)] +=
          work->moments->resumed.seconds_since(work->moments->stopped);
    }
    free_.push_back(std::move(work->moments));
    return true;
  });
}

void StreamWorks::give_up(const Work& work, const std::string& reason) {
  failure_ = reason.empty() ? fmt::format("{}: rank {} waited {} s for {}", work.name, place_.rank,
                                          timeout_.load(), who_is_missing(work.number))
                            : fmt::format("{}: rank {}: {}", work.name, place_.rank, reason);
  abort();
}

std::string StreamWorks::who_is_missing(std::uint64_t number) const {
  std::vector<int> missing;
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    if (lines_[i].started.load(std::memory_order_acquire) < number) {
      missing.push_back(neighbours_[i]);
    }
  }
  if (!missing.empty()) {
    return fmt::format("rank{} {}", missing.size() == 1 ? "" : "s", fmt::join(missing, ", "));
  }
  if (place_.nodes > 1) return "ranks of other nodes: all of this one have come";
  return "a GPU: all ranks have come";
}

/// Ends what is under way, so that streams go on.
void StreamWorks::abort() {
  const std::unique_lock lock(comm_mutex_, kAbort);
  if (!lock) {
    log::error("rank {}: NCCL does not return, and cannot be given up", place_.rank);
    ::_exit(static_cast<int>(ExitCode::kTryAgain));
  }
  if (comm_ != nullptr) static_cast<void>(nccl_->abort(std::exchange(comm_, nullptr)));
}

}  // namespace nativo::dist
