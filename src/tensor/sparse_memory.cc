#include "tensor/sparse_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::tensor {

SparseMemory::SparseMemory(std::size_t bytes, std::string_view what) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ExitCode::kTryAgain,
                fmt::format("no addresses for {}: {}: {}", what,
                            human_bytes(static_cast<double>(bytes)), std::strerror(errno)),
                "it is little memory but many addresses: see ulimit -v and vm.overcommit_memory");
  }
  // A huge page would be given whole for a few numbers at a part's end.
  static_cast<void>(::madvise(memory, bytes, MADV_NOHUGEPAGE));
  bytes_ = {static_cast<std::byte*>(memory), bytes};
}

SparseMemory::~SparseMemory() { ::munmap(bytes_.data(), bytes_.size()); }

}  // namespace nativo::tensor
