// Addresses for a large array of which a process uses parts: the system gives a page of memory when
// it is first touched. Not here: memory that is used whole (tensor/arena.h).
// Rule: an element that nobody has written is 0 and costs nothing, until it is read.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace nativo::tensor {

class SparseMemory {
 public:
  /// `bytes` > 0, at a page's beginning. Throws Error(kTryAgain), naming `what`, when the process
  /// may not have so many addresses (ulimit -v, vm.overcommit_memory = 2).
  SparseMemory(std::size_t bytes, std::string_view what);
  ~SparseMemory();
  SparseMemory(const SparseMemory&) = delete;
  SparseMemory& operator=(const SparseMemory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace nativo::tensor
