// Collectives through NCCL, on a stream of their own. See the header.
#include "dist/nccl.h"

#include <cuda_runtime_api.h>
#include <fmt/core.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "tensor/cuda/check.h"
#include "tensor/cuda/library.h"
#include "tensor/device_memory.h"

namespace nativo::dist {
namespace {

struct NcclLibrary {
  NcclLibrary()
      : library({fmt::format("libnccl.so.{}", NCCL_MAJOR)},
                "several GPUs need NCCL: install libnccl2, on every node (docs/cuda.md)") {
    library.find("ncclGetErrorString", error_string);
    library.find("ncclGetUniqueId", unique_id);
    library.find("ncclCommInitRank", init_rank);
    library.find("ncclCommDestroy", destroy);
    library.find("ncclCommAbort", abort);
    library.find("ncclCommGetAsyncError", async_error);
    library.find("ncclGroupStart", group_start);
    library.find("ncclGroupEnd", group_end);
    library.find("ncclAllReduce", all_reduce);
    library.find("ncclReduce", reduce);
    library.find("ncclReduceScatter", reduce_scatter);
    library.find("ncclAllGather", all_gather);
    library.find("ncclBroadcast", broadcast);
    library.find("ncclSend", send);
    library.find("ncclRecv", receive);
  }

  tensor::Library library;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetUniqueId) unique_id;
  decltype(&ncclCommInitRank) init_rank;
  decltype(&ncclCommDestroy) destroy;
  decltype(&ncclCommAbort) abort;
  decltype(&ncclCommGetAsyncError) async_error;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclReduce) reduce;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclBroadcast) broadcast;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) receive;
};

ncclDataType_t type_of(const Values& values) {
  switch (values.type) {
    case tensor::DType::kF32:
      return ncclFloat32;
    case tensor::DType::kF64:
      return ncclFloat64;
    case tensor::DType::kI64:
      return ncclInt64;
    case tensor::DType::kBf16:
      return ncclBfloat16;
    default:
      return ncclUint8;
  }
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::shared_ptr<NcclLibrary> nccl, Communicator& host,
                   const tensor::Device& device)
      : Communicator(host.place()),
        nccl_(std::move(nccl)),
        host_(host),
        device_(device),
        stream_(device),
        before_(device),
        token_(device, sizeof(float), "a barrier") {
    ncclUniqueId id{};
    if (is_root()) check(nccl_->unique_id(&id), "ncclGetUniqueId");
    const std::span<char> text(id.internal);
    host_.broadcast(std::as_writable_bytes(text), 0);
    static_cast<void>(tensor::compute_stream(device_));  // makes the device the thread's
    check(nccl_->init_rank(&comm_, size(), id, rank()), "ncclCommInitRank");
    tensor::zero_bytes_async(token_.data(), token_.bytes(), stream_.handle());
  }

  ~NcclCommunicator() override {
    stop_queue();
    if (comm_ != nullptr) static_cast<void>(nccl_->destroy(comm_));
  }

  std::span<std::byte> allocate(std::size_t bytes, std::string_view what) override {
    const tensor::DeviceMemory& memory = memory_.emplace_back(device_, bytes, what);
    tensor::zero_bytes_async(memory.data(), bytes, tensor::compute_stream(device_));
    return {memory.data(), bytes};
  }

  void abandon() override { is_abandoned_ = true; }

  std::span<std::byte> allocate_shared(std::size_t /*bytes*/, std::string_view what) override {
    throw Error(ExitCode::kConfig, fmt::format("{}: ranks on GPUs have no memory in common", what),
                "choose dist.zero = 2 or less");
  }

  std::unique_ptr<Communicator> split(int color, int key) override {
    parts_.push_back(host_.split(color, key));
    auto part = std::make_unique<NcclCommunicator>(nccl_, *parts_.back(), device_);
    part->set_timeout(timeout());
    return part;
  }

 protected:
  void run(const Operation& operation) override {
    if (comm_ == nullptr) {
      throw Error(ExitCode::kTryAgain,
                  fmt::format("{}: the ranks have lost each other", operation.name));
    }
    before_.record(tensor::compute_stream(device_));
    before_.block(stream_.handle());
    issue(operation);
    wait(operation.name);
  }

 private:
  void check(ncclResult_t status, const char* action) const {
    if (status == ncclSuccess || status == ncclInProgress) return;
    throw Error(ExitCode::kTryAgain, fmt::format("{}: {}", action, nccl_->error_string(status)),
                "NCCL_DEBUG=WARN says more");
  }

  void issue(const Operation& operation) {
    const Values& values = operation.values;
    const ncclDataType_t type = type_of(values);
    const std::size_t element = tensor::dtype_size(values.type);
    cudaStream_t stream = stream_.handle();
    const auto at = [&](const Part& part) { return values.data + part.begin * element; };
    const bool even = are_even(operation.parts);
    const Part mine = operation.parts.empty() ? Part{} : operation.parts[own()];
    switch (operation.kind) {
      case OperationKind::kBarrier:
        check(
            nccl_->all_reduce(token_.data(), token_.data(), 1, ncclFloat32, ncclSum, comm_, stream),
            operation.name);
        return;
      case OperationKind::kAllReduce:
        check(
            nccl_->all_reduce(values.data, values.data, values.count, type, ncclSum, comm_, stream),
            operation.name);
        return;
      case OperationKind::kReduceScatter:
        if (even) {
          check(nccl_->reduce_scatter(at(operation.parts[0]), at(mine), mine.count, type, ncclSum,
                                      comm_, stream),
                operation.name);
          return;
        }
        for_parts(operation, [&](const Part& part, int root) {
          return nccl_->reduce(at(part), at(part), part.count, type, ncclSum, root, comm_, stream);
        });
        return;
      case OperationKind::kAllGather:
        if (even) {
          check(
              nccl_->all_gather(at(mine), at(operation.parts[0]), mine.count, type, comm_, stream),
              operation.name);
          return;
        }
        for_parts(operation, [&](const Part& part, int root) {
          return nccl_->broadcast(at(part), at(part), part.count, type, root, comm_, stream);
        });
        return;
      case OperationKind::kSendReceive:
        send_receive(operation);
        return;
    }
  }

  void send_receive(const Operation& operation) {
    const Values& mine = operation.values;
    const Values& theirs = operation.theirs;
    ncclResult_t sent = ncclSuccess;
    ncclResult_t received = ncclSuccess;
    check(nccl_->group_start(), operation.name);
    if (operation.to >= 0) {
      sent =
          nccl_->send(mine.data, mine.count, type_of(mine), operation.to, comm_, stream_.handle());
    }
    if (operation.from >= 0) {
      received = nccl_->receive(theirs.data, theirs.count, type_of(theirs), operation.from, comm_,
                                stream_.handle());
    }
    check(nccl_->group_end(), operation.name);
    check(sent, operation.name);
    check(received, operation.name);
  }

  [[nodiscard]] std::size_t own() const { return static_cast<std::size_t>(rank()); }

  /// Equal parts one behind the other: what NCCL moves in one operation.
  [[nodiscard]] static bool are_even(const std::vector<Part>& parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].count != parts[0].count || parts[i].count == 0 ||
          parts[i].begin != parts[0].begin + i * parts[0].count) {
        return false;
      }
    }
    return !parts.empty();
  }

  /// One operation a part that is not empty, all started together.
  template <class Start>
  void for_parts(const Operation& operation, const Start& start) {
    check(nccl_->group_start(), operation.name);
    ncclResult_t failed = ncclSuccess;
    for (std::size_t i = 0; i < operation.parts.size(); ++i) {
      if (operation.parts[i].count == 0) continue;
      const ncclResult_t status = start(operation.parts[i], static_cast<int>(i));
      if (failed == ncclSuccess) failed = status;
    }
    check(nccl_->group_end(), operation.name);
    check(failed, operation.name);
  }

  void wait(const char* name) {
    const double deadline = timeout() > 0.0 ? monotonic_seconds() + timeout() : 0.0;
    for (int round = 0;; ++round) {
      const cudaError_t status = cudaStreamQuery(stream_.handle());
      if (status == cudaSuccess) return;
      if (status != cudaErrorNotReady) tensor::cuda_check(status, name);
      ncclResult_t failure = ncclSuccess;
      check(nccl_->async_error(comm_, &failure), name);
      const bool late = is_abandoned_ || (deadline > 0.0 && monotonic_seconds() > deadline);
      if (late || (failure != ncclSuccess && failure != ncclInProgress)) {
        static_cast<void>(nccl_->abort(std::exchange(comm_, nullptr)));
        throw Error(ExitCode::kTryAgain,
                    late ? fmt::format("{}: rank {} waited {} s for the other GPUs' ranks", name,
                                       rank(), timeout())
                         : fmt::format("{}: {}", name, nccl_->error_string(failure)),
                    "NCCL_DEBUG=WARN says more");
      }
      // Short operations are over before the first sleep.
      if (round > 1000) std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  std::shared_ptr<NcclLibrary> nccl_;
  Communicator& host_;
  tensor::Device device_;
  tensor::Stream stream_;
  tensor::Event before_;
  tensor::DeviceMemory token_;  ///< what a barrier sums
  ncclComm_t comm_ = nullptr;
  std::atomic<bool> is_abandoned_ = false;
  std::vector<tensor::DeviceMemory> memory_;
  std::vector<std::unique_ptr<Communicator>> parts_;  ///< the host's ends of split ones
};

}  // namespace

std::unique_ptr<Communicator> connect_nccl(Communicator& host, const tensor::Device& device) {
  tensor::require_device(device);
  if (!device.is_cuda()) {
    throw Error(ExitCode::kConfig, tensor::device_name(device) + ": NCCL connects GPUs");
  }
  return std::make_unique<NcclCommunicator>(std::make_shared<NcclLibrary>(), host, device);
}

}  // namespace nativo::dist
