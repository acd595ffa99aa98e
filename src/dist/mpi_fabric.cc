#include "dist/mpi_fabric.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "dist/mpi_library.h"
#include "dist/watch.h"

namespace nativo::dist {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAlign = 64;
constexpr int kTag = 0x6e61;

void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  throw Error(ExitCode::kTryAgain, fmt::format("{} failed with MPI's error {}", what, result));
}

class MpiMessage final : public Message {
 public:
  explicit MpiMessage(std::shared_ptr<MpiLibrary> mpi) : mpi_(std::move(mpi)) {}

  MPI_Request* request() { return &request_; }

  bool is_done() override {
    if (done_) return true;
    int flag = 0;
    const std::lock_guard lock(mpi_->calls);
    check(mpi_->test(&request_, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    done_ = flag != 0;
    return done_;
  }

 private:
  std::shared_ptr<MpiLibrary> mpi_;
  MPI_Request request_{};
  bool done_ = false;
};

class MpiFabric final : public Fabric {
 public:
  /// Owns `comm`; `is_world` = it ends MPI.
  MpiFabric(std::shared_ptr<MpiLibrary> mpi, MPI_Comm comm, bool is_world, int ranks_per_node)
      : mpi_(std::move(mpi)), comm_(comm), is_world_(is_world), ranks_per_node_(ranks_per_node) {
    int size = 0;
    check(mpi_->comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check(mpi_->comm_size(comm_, &size), "MPI_Comm_size");
    if (ranks_per_node_ > 0) {
      int world_rank = 0;
      check(mpi_->comm_rank(mpi_->world, &world_rank), "MPI_Comm_rank");
      check(mpi_->comm_split(comm_, world_rank / ranks_per_node_, 0, &node_), "MPI_Comm_split");
    } else {
      check(mpi_->comm_split_type(comm_, MPI_COMM_TYPE_SHARED, 0, mpi_->no_info, &node_),
            "MPI_Comm_split_type");
    }
    check(mpi_->comm_rank(node_, &node_rank_), "MPI_Comm_rank");
    check(mpi_->comm_size(node_, &node_size_), "MPI_Comm_size");
    // A node's name is its lowest rank.
    std::int32_t lowest = rank_;
    check(mpi_->bcast(&lowest, sizeof(lowest), mpi_->byte, 0, node_), "MPI_Bcast");
    std::vector<std::int32_t> names(static_cast<std::size_t>(size));
    check(mpi_->allgather(&lowest, sizeof(lowest), mpi_->byte, names.data(), sizeof(lowest),
                          mpi_->byte, comm_),
          "MPI_Allgather");
    std::map<std::int32_t, int> numbers;
    for (const std::int32_t name : names) {
      nodes_.push_back(numbers.emplace(name, static_cast<int>(numbers.size())).first->second);
    }
  }

  ~MpiFabric() override {
    if (given_up_ || std::uncaught_exceptions() > 0) return;
    for (MPI_Win& window : windows_) mpi_->win_free(&window);
    mpi_->comm_free(&node_);
    mpi_->comm_free(&comm_);
    if (is_world_) mpi_->finalize();
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] const std::vector<int>& nodes() const override { return nodes_; }

  std::vector<std::byte*> share(std::size_t bytes, std::string_view what) override {
    return make_window(bytes, static_cast<std::size_t>(node_size_), what, false);
  }

  std::byte* share_one(std::size_t bytes, std::string_view what) override {
    return make_window(bytes, 1, what, true).front();
  }

  std::unique_ptr<Message> send(int to, std::span<const std::byte> bytes) override {
    auto message = std::make_unique<MpiMessage>(mpi_);
    const std::lock_guard lock(mpi_->calls);
    check(mpi_->isend(bytes.data(), static_cast<int>(bytes.size()), mpi_->byte, to, kTag, comm_,
                      message->request()),
          "MPI_Isend");
    return message;
  }

  std::unique_ptr<Message> receive(int from, std::span<std::byte> bytes) override {
    auto message = std::make_unique<MpiMessage>(mpi_);
    const std::lock_guard lock(mpi_->calls);
    check(mpi_->irecv(bytes.data(), static_cast<int>(bytes.size()), mpi_->byte, from, kTag, comm_,
                      message->request()),
          "MPI_Irecv");
    return message;
  }

  std::unique_ptr<Fabric> split(int color, int key) override {
    MPI_Comm part{};
    {
      const std::lock_guard lock(mpi_->calls);
      check(mpi_->comm_split(comm_, color, key, &part), "MPI_Comm_split");
    }
    return std::make_unique<MpiFabric>(mpi_, part, false, ranks_per_node_);
  }

  void give_up() override { given_up_ = true; }

 private:
  /// MPI puts a header before a window. It is mapped at whole pages, so that all ranks of the node
  /// leave out as many bytes.
  static std::byte* aligned(std::byte* view) {
    const std::size_t over = reinterpret_cast<std::uintptr_t>(view) % kAlign;
    return view + (over == 0 ? 0 : kAlign - over);
  }

  /// `bytes` for each rank of the node, or all for its first one; zeroed by whose it is.
  std::vector<std::byte*> make_window(std::size_t bytes, std::size_t blocks, std::string_view what,
                                      bool firsts) {
    const std::size_t size = (bytes + kAlign + kPage - 1) / kPage * kPage;
    require_space(size * blocks, what);
    const std::size_t own = firsts && node_rank_ != 0 ? 0 : size;
    const std::lock_guard lock(mpi_->calls);
    std::byte* base = nullptr;
    MPI_Win window{};
    check(mpi_->win_allocate_shared(static_cast<MPI_Aint>(own), 1, mpi_->no_info, node_, &base,
                                    &window),
          "MPI_Win_allocate_shared");
    windows_.push_back(window);
    if (own > 0) std::memset(base, 0, own);
    std::vector<std::byte*> views;
    for (int r = 0; r < static_cast<int>(blocks); ++r) {
      MPI_Aint its_size = 0;
      int unit = 0;
      std::byte* view = nullptr;
      check(mpi_->win_shared_query(window, r, &its_size, &unit, &view), "MPI_Win_shared_query");
      views.push_back(aligned(view));
    }
    check(mpi_->barrier(node_), "MPI_Barrier");  // all are zero
    return views;
  }

  /// A shared window is a file in /dev/shm: one that is too small kills whoever writes into it.
  static void require_space(std::size_t needed, std::string_view what) {
    struct statvfs status {};
    if (::statvfs("/dev/shm", &status) != 0) return;
    const std::size_t available = static_cast<std::size_t>(status.f_bavail) * status.f_frsize;
    if (needed <= available) return;
    throw Error(ExitCode::kTryAgain,
                fmt::format("/dev/shm: {} free, {} needed for {}",
                            human_bytes(static_cast<double>(available)),
                            human_bytes(static_cast<double>(needed)), what),
                "mount it larger (docker: --shm-size), or start fewer ranks on this node");
  }

  std::shared_ptr<MpiLibrary> mpi_;
  MPI_Comm comm_{};
  MPI_Comm node_{};
  bool is_world_;
  int ranks_per_node_;
  int rank_ = 0;
  int node_rank_ = 0;
  int node_size_ = 1;
  std::vector<int> nodes_;
  std::vector<MPI_Win> windows_;
  bool given_up_ = false;
};

}  // namespace

std::unique_ptr<Fabric> connect_mpi(int ranks_per_node, double start_seconds) {
  // OpenMPI 4.1 looks others up only when they are first heard of; when that is while it waits at
  // the end of its start, it asks PMIx from inside of its own event loop, and may wait for ever.
  ::setenv("OMPI_MCA_mpi_add_procs_cutoff", "1024", /*overwrite=*/0);
  auto mpi = std::make_shared<MpiLibrary>();
  const Watch watch("a rank gives up starting MPI", start_seconds);
  int provided = 0;
  if (mpi->init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_SERIALIZED) {
    throw Error(ExitCode::kTryAgain, "MPI does not start, or not for programs with threads",
                "under Slurm: srun --mpi=pmix");
  }
  MPI_Comm comm{};
  check(mpi->comm_dup(mpi->world, &comm), "MPI_Comm_dup");
  return std::make_unique<MpiFabric>(mpi, comm, true, ranks_per_node);
}

}  // namespace nativo::dist
