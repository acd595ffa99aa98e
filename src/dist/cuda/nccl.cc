// Collectives through NCCL, on a stream of their own. See the header.
#include "dist/nccl.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "base/error.h"
#include "dist/cuda/nccl_library.h"
#include "dist/cuda/stream_works.h"
#include "dist/watch.h"
#include "tensor/device_memory.h"

namespace nativo::dist {
namespace {

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

/// Equal parts one behind the other: what NCCL moves in one operation.
bool are_even(const std::vector<Part>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].count != parts[0].count || parts[i].count == 0 ||
        parts[i].begin != parts[0].begin + i * parts[0].count) {
      return false;
    }
  }
  return !parts.empty();
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::shared_ptr<const NcclLibrary> nccl, Communicator& host,
                   const tensor::Device& device)
      : Communicator(host.place()), nccl_(std::move(nccl)), host_(host), device_(device) {
    Communicator::set_timeout(host.timeout());
  }

  /// A part of the ranks, whose end on the host is its own.
  NcclCommunicator(std::shared_ptr<const NcclLibrary> nccl, std::unique_ptr<Communicator> host,
                   const tensor::Device& device)
      : NcclCommunicator(std::move(nccl), *host, device) {
    own_host_ = std::move(host);
  }

  ~NcclCommunicator() override {
    // What is under way when a rank gives up may never end.
    if (works_) works_->stop(std::uncaught_exceptions() > 0 || is_abandoned_);
  }

  [[nodiscard]] double waited(OperationKind kind) const override {
    return host_.waited(kind) + (works_ ? works_->waited(kind) : 0.0);
  }
  void check() override {
    host_.check();
    if (works_) works_->check();
  }
  void set_timeout(double seconds) override {
    Communicator::set_timeout(seconds);
    host_.set_timeout(seconds);
    if (works_) works_->set_timeout(seconds);
  }
  void abandon() override {
    is_abandoned_ = true;
    host_.abandon();
    if (works_) works_->abandon();
  }

  std::span<std::byte> allocate(std::size_t bytes, std::string_view what) override {
    return host_.allocate(bytes, what);
  }
  std::span<std::byte> allocate_shared(std::size_t bytes, std::string_view what) override {
    return host_.allocate_shared(bytes, what);
  }

  std::unique_ptr<Communicator> split(int color, int key) override {
    return std::make_unique<NcclCommunicator>(nccl_, host_.split(color, key), device_);
  }

 protected:
  void run(const Operation& /*operation*/) override {
    NATIVO_CHECK(false, "the host's operations are the host's communicator's");
  }

  void submit(Operation operation) override {
    check();
    if (!operation.values.device.is_cuda()) return submit_to(host_, std::move(operation));
    start_on_gpu(operation).wait();
  }

  Pending start(Operation operation) override {
    check();
    if (!operation.values.device.is_cuda()) return start_on(host_, std::move(operation));
    return start_on_gpu(operation);
  }

 private:
  Pending start_on_gpu(const Operation& operation) {
    if (size() == 1) return {};
    NATIVO_CHECK(operation.values.device == device_, "values lie on the rank's own GPU");
    if (!works_) connect();
    return works_->start(
        operation, [&](ncclComm_t comm, cudaStream_t stream) { issue(operation, comm, stream); });
  }

  /// Collective.
  void connect() {
    ncclUniqueId id{};
    if (is_root()) nccl_->check(nccl_->unique_id(&id), "ncclGetUniqueId");
    const std::span<char> text(id.internal);
    host_.broadcast(std::as_writable_bytes(text), 0);
    auto works = std::make_unique<StreamWorks>(nccl_, host_, device_);
    ncclComm_t comm = nullptr;
    {
      const Watch watch(fmt::format("rank {} gives up connecting its GPU", rank()), timeout());
      nccl_->check(nccl_->init_rank(&comm, size(), id, rank()), "ncclCommInitRank");
    }
    works->serve(comm);
    works->set_timeout(timeout());
    works_ = std::move(works);
  }

  void issue(const Operation& operation, ncclComm_t comm, cudaStream_t stream) const {
    const Values& values = operation.values;
    const ncclDataType_t type = type_of(values);
    const std::size_t element = tensor::dtype_size(values.type);
    const auto at = [&](const Part& part) { return values.data + part.begin * element; };
    const bool even = are_even(operation.parts);
    const Part mine = operation.parts.empty() ? Part{} : operation.parts[own()];
    switch (operation.kind) {
      case OperationKind::kAllReduce:
        nccl_->check(
            nccl_->all_reduce(values.data, values.data, values.count, type, ncclSum, comm, stream),
            operation.name);
        return;
      case OperationKind::kReduceScatter:
        if (even) {
          nccl_->check(nccl_->reduce_scatter(at(operation.parts[0]), at(mine), mine.count, type,
                                             ncclSum, comm, stream),
                       operation.name);
          return;
        }
        for_parts(operation, [&](const Part& part, int root) {
          return nccl_->reduce(at(part), at(part), part.count, type, ncclSum, root, comm, stream);
        });
        return;
      case OperationKind::kAllGather:
        if (even) {
          nccl_->check(
              nccl_->all_gather(at(mine), at(operation.parts[0]), mine.count, type, comm, stream),
              operation.name);
          return;
        }
        for_parts(operation, [&](const Part& part, int root) {
          return nccl_->broadcast(at(part), at(part), part.count, type, root, comm, stream);
        });
        return;
      case OperationKind::kBarrier:
      case OperationKind::kSendReceive:
        break;
    }
    NATIVO_CHECK(false, "barriers and messages are the host's");
  }

  [[nodiscard]] std::size_t own() const { return static_cast<std::size_t>(rank()); }

  /// One operation a part that is not empty, all started together.
  template <class Start>
  void for_parts(const Operation& operation, const Start& start) const {
    nccl_->check(nccl_->group_start(), operation.name);
    ncclResult_t failed = ncclSuccess;
    for (std::size_t i = 0; i < operation.parts.size(); ++i) {
      if (operation.parts[i].count == 0) continue;
      const ncclResult_t status = start(operation.parts[i], static_cast<int>(i));
      if (failed == ncclSuccess) failed = status;
    }
    nccl_->check(nccl_->group_end(), operation.name);
    nccl_->check(failed, operation.name);
  }

  std::shared_ptr<const NcclLibrary> nccl_;  ///< null of one rank
  std::unique_ptr<Communicator> own_host_;   ///< of a part
  Communicator& host_;
  tensor::Device device_;
  std::atomic<bool> is_abandoned_ = false;
  std::unique_ptr<StreamWorks> works_;  ///< from the first collective on
};

}  // namespace

std::unique_ptr<Communicator> connect_nccl(Communicator& host, const tensor::Device& device) {
  tensor::require_device(device);
  if (!device.is_cuda()) {
    throw Error(ExitCode::kConfig, tensor::device_name(device) + ": NCCL connects GPUs");
  }
  // Opened here, so that where it is missing nothing has been begun.
  std::shared_ptr<const NcclLibrary> nccl;
  if (host.size() > 1) nccl = std::make_shared<NcclLibrary>();
  return std::make_unique<NcclCommunicator>(std::move(nccl), host, device);
}

}  // namespace nativo::dist
