// NCCL between processes of one machine, through shared memory. An operation is put into its stream
// and returns; it runs there when all ranks have come to it, however long that takes, or until the
// communicator is aborted. A process is one rank of it, as on GPUs. Ranks that call different
// operations end with a message: NCCL would hang, or worse. Sums go from rank to rank and are
// rounded at each, as in a chain of GPUs.
#include <fcntl.h>
#include <nccl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): nanosleep is POSIX
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <string_view>
#include <vector>

#include "tensor/bf16.h"
#include "tensor/cuda/library.h"

namespace {

constexpr std::size_t kSlot = std::size_t{1} << 16;  ///< bytes that a rank shows the others at once
constexpr int kMostRanks = 16;

struct alignas(64) Line {
  std::atomic<std::uint64_t> arrived;       ///< barriers that this rank has come to
  std::atomic<std::uint64_t> signature[2];  ///< of the operation that it is in, by barrier modulo 2
};

struct Shared {
  Line lines[kMostRanks];
  alignas(64) unsigned char slots[kMostRanks][kSlot];
};

struct Aborted {};

enum class Kind { kAllReduce, kReduce, kBroadcast };

struct Primitive {
  Kind kind = Kind::kAllReduce;
  const unsigned char* send = nullptr;
  unsigned char* receive = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  int root = 0;
};

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclBfloat16:
      return 2;
    case ncclFloat32:
      return 4;
    default:
      return 8;
  }
}

float sum_of(float a, float b) { return a + b; }
double sum_of(double a, double b) { return a + b; }
std::int64_t sum_of(std::int64_t a, std::int64_t b) { return a + b; }
nativo::tensor::bf16 sum_of(nativo::tensor::bf16 a, nativo::tensor::bf16 b) {
  return nativo::tensor::to_bf16(nativo::tensor::to_f32(a) + nativo::tensor::to_f32(b));
}

}  // namespace

// NOLINTBEGIN: names are NCCL's
struct ncclComm {
  int rank = 0;
  int ranks = 1;
  Shared* shared = nullptr;
  std::uint64_t barriers = 0;
  std::atomic<bool> aborted = false;
  std::atomic<int> running = 0;

  void barrier(std::uint64_t signature) {
    Line& mine = shared->lines[rank];
    ++barriers;
    mine.signature[barriers % 2].store(signature, std::memory_order_relaxed);
    mine.arrived.store(barriers, std::memory_order_release);
    for (int r = 0; r < ranks; ++r) {
      const Line& line = shared->lines[r];
      for (int look = 0; line.arrived.load(std::memory_order_acquire) < barriers; ++look) {
        if (aborted) throw Aborted();
        const timespec nap{0, 50'000};
        look < 200 ? static_cast<void>(sched_yield()) : static_cast<void>(nanosleep(&nap, nullptr));
      }
      if (line.signature[barriers % 2].load(std::memory_order_relaxed) != signature) {
        std::fprintf(stderr, "emulated NCCL: ranks %d and %d are in different operations\n", rank,
                     r);
        std::abort();
      }
    }
  }

  template <class T>
  void sum(std::size_t count, unsigned char* to) const {
    for (std::size_t i = 0; i < count; ++i) {
      T total;
      std::memcpy(&total, shared->slots[0] + i * sizeof(T), sizeof(T));
      for (int r = 1; r < ranks; ++r) {
        T next;
        std::memcpy(&next, shared->slots[r] + i * sizeof(T), sizeof(T));
        total = sum_of(total, next);
      }
      std::memcpy(to + i * sizeof(T), &total, sizeof(T));
    }
  }

  void run(const Primitive& of) {
    const std::size_t size = size_of(of.type);
    const std::uint64_t signature = (of.count * 8 + static_cast<std::uint64_t>(of.kind)) * 64 +
                                    static_cast<std::uint64_t>(of.type) * 4096 * 4096 +
                                    static_cast<std::uint64_t>(of.root);
    const bool gives = of.kind != Kind::kBroadcast || rank == of.root;
    const bool takes = of.kind != Kind::kReduce || rank == of.root;
    for (std::size_t at = 0; at < of.count; at += kSlot / size) {
      const std::size_t count = std::min(kSlot / size, of.count - at);
      if (gives) std::memcpy(shared->slots[rank], of.send + at * size, count * size);
      barrier(signature);
      unsigned char* to = of.receive + at * size;
      if (takes && of.kind == Kind::kBroadcast) {
        std::memmove(to, shared->slots[of.root], count * size);
      } else if (takes) {
        switch (of.type) {
          case ncclFloat32:
            sum<float>(count, to);
            break;
          case ncclFloat64:
            sum<double>(count, to);
            break;
          case ncclInt64:
            sum<std::int64_t>(count, to);
            break;
          case ncclBfloat16:
            sum<nativo::tensor::bf16>(count, to);
            break;
          default:
            std::abort();
        }
      }
      barrier(signature);
    }
  }
};

namespace {

struct Started {
  ncclComm_t comm;
  cudaStream_t stream;
  std::vector<Primitive> primitives;
};
int groups = 0;
std::vector<Started> group;

void put_into_stream(const Started& started) {
  ncclComm_t comm = started.comm;
  ++comm->running;
  nativo::emulation::run_beside(started.stream, [comm, primitives = started.primitives] {
    try {
      for (const Primitive& primitive : primitives) comm->run(primitive);
    } catch (const Aborted&) {  // what it has received is undefined
    }
    --comm->running;
  });
}

ncclResult_t start(ncclComm_t comm, cudaStream_t stream, std::vector<Primitive> primitives) {
  if (comm->aborted) return ncclInvalidArgument;
  const Started started{comm, stream, std::move(primitives)};
  groups > 0 ? group.push_back(started) : put_into_stream(started);
  return ncclSuccess;
}

const unsigned char* bytes_of(const void* memory) {
  return static_cast<const unsigned char*>(memory);
}
unsigned char* bytes_of(void* memory) { return static_cast<unsigned char*>(memory); }

ncclResult_t close_comm(ncclComm_t comm) {
  while (comm->running > 0) sched_yield();
  munmap(comm->shared, sizeof(Shared));
  delete comm;
  return ncclSuccess;
}

}  // namespace

const char* ncclGetErrorString(ncclResult_t) { return "emulated NCCL"; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::random_device device;
  std::snprintf(id->internal, sizeof id->internal, "/nativo-nccl-%08x%08x", device(), device());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  if (ranks > kMostRanks) return ncclInvalidArgument;
  if (ranks == 1) {
    std::fprintf(stderr, "emulated NCCL: a rank that is alone has nobody to connect to\n");
    std::abort();
  }
  const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return ncclSystemError;
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) return ncclSystemError;
  auto made = new ncclComm;
  made->rank = rank;
  made->ranks = ranks;
  made->shared = static_cast<Shared*>(memory);  // zeroed
  made->barrier(0);
  if (rank == 0) shm_unlink(id.internal);  // all have it
  *comm = made;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) { return close_comm(comm); }
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  comm->aborted = true;
  return close_comm(comm);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* result) {
  *result = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++groups;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--groups > 0) return ncclSuccess;
  for (const Started& started : group) put_into_stream(started);
  group.clear();
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return start(comm, stream,
               {{Kind::kAllReduce, bytes_of(send), bytes_of(receive), count, type, 0}});
}
ncclResult_t ncclReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t, int root, ncclComm_t comm, cudaStream_t stream) {
  return start(comm, stream,
               {{Kind::kReduce, bytes_of(send), bytes_of(receive), count, type, root}});
}
ncclResult_t ncclReduceScatter(const void* send, void* receive, std::size_t count,
                               ncclDataType_t type, ncclRedOp_t, ncclComm_t comm,
                               cudaStream_t stream) {
  std::vector<Primitive> primitives;
  for (int r = 0; r < comm->ranks; ++r) {
    primitives.push_back({Kind::kReduce,
                          bytes_of(send) + static_cast<std::size_t>(r) * count * size_of(type),
                          bytes_of(receive), count, type, r});
  }
  return start(comm, stream, std::move(primitives));
}
ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  std::vector<Primitive> primitives;
  for (int r = 0; r < comm->ranks; ++r) {
    primitives.push_back({Kind::kBroadcast, bytes_of(send),
                          bytes_of(receive) + static_cast<std::size_t>(r) * count * size_of(type),
                          count, type, r});
  }
  return start(comm, stream, std::move(primitives));
}
ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return start(comm, stream,
               {{Kind::kBroadcast, bytes_of(send), bytes_of(receive), count, type, root}});
}
// NOLINTEND

namespace nativo::tensor {

void* Library::address(const char* name) {
  static const std::map<std::string_view, void*> functions = {
      {"ncclGetErrorString", reinterpret_cast<void*>(&ncclGetErrorString)},
      {"ncclGetUniqueId", reinterpret_cast<void*>(&ncclGetUniqueId)},
      {"ncclCommInitRank", reinterpret_cast<void*>(&ncclCommInitRank)},
      {"ncclCommDestroy", reinterpret_cast<void*>(&ncclCommDestroy)},
      {"ncclCommAbort", reinterpret_cast<void*>(&ncclCommAbort)},
      {"ncclCommGetAsyncError", reinterpret_cast<void*>(&ncclCommGetAsyncError)},
      {"ncclGroupStart", reinterpret_cast<void*>(&ncclGroupStart)},
      {"ncclGroupEnd", reinterpret_cast<void*>(&ncclGroupEnd)},
      {"ncclAllReduce", reinterpret_cast<void*>(&ncclAllReduce)},
      {"ncclReduce", reinterpret_cast<void*>(&ncclReduce)},
      {"ncclReduceScatter", reinterpret_cast<void*>(&ncclReduceScatter)},
      {"ncclAllGather", reinterpret_cast<void*>(&ncclAllGather)},
      {"ncclBroadcast", reinterpret_cast<void*>(&ncclBroadcast)}};
  return functions.at(name);
}

}  // namespace nativo::tensor
