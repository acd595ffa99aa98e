// One block of memory for tensors that are needed only for a while: two that are never needed at
// the same moment may lie in the same place. Not here: memory itself (tensor/arena.h), or what the
// moments mean. Rule: a plan is a pure function of what was added; nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/arena.h"

namespace nativo::tensor {

/// The moments first..last, both included, in the caller's own count.
struct Lifetime {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

class LifetimePlan {
 public:
  /// Names a tensor of this plan.
  using Handle = std::size_t;

  /// elements(shape) * sizeof(T) bytes, under `purpose` (a word for reports).
  template <class T>
  Handle add(std::string_view purpose, const Shape& shape, const Lifetime& lifetime) {
    return add_bytes(purpose, shape, sizeof(T), lifetime);
  }

  /// Gives every tensor its place: greatest first or longest-lived first, each as low as it fits,
  /// whichever needs the smaller block. O(n^2) for n tensors.
  void place();

  /// Bytes of the block, alignment included; after place().
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Where a tensor lies; after place().
  [[nodiscard]] ArenaPlan::Slot slot(Handle tensor) const;

  /// Bytes by purpose at the moment of `period` when most are needed.
  [[nodiscard]] std::vector<ArenaPlan::Purpose> fullest(const Lifetime& period) const;

 private:
  Handle add_bytes(std::string_view purpose, const Shape& shape, std::size_t element_size,
                   const Lifetime& lifetime);

  struct Tensor {
    std::size_t purpose = 0;
    Shape shape;
    std::size_t element_size = 0;
    Lifetime lifetime;
    std::size_t size = 0;
    std::size_t offset = 0;
  };
  std::vector<std::string> purposes_;
  std::vector<Tensor> tensors_;
  std::size_t bytes_ = 0;
};

}  // namespace nativo::tensor
