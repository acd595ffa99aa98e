// First fit over intervals of time. See the header.
#include "tensor/lifetime_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/error.h"

namespace nativo::tensor {
namespace {

/// What is already placed, by offset.
struct Placed {
  std::size_t begin = 0;
  std::size_t end = 0;
  Lifetime lifetime;
};

/// The lowest offset at which `size` bytes are free all through `lifetime`.
std::size_t lowest_fit(const std::vector<Placed>& placed, const Lifetime& lifetime,
                       std::size_t size) {
  std::size_t offset = 0;
  for (const Placed& other : placed) {
    if (other.lifetime.last < lifetime.first || lifetime.last < other.lifetime.first) continue;
    if (other.begin >= offset + size) break;
    offset = std::max(offset, other.end);
  }
  return offset;
}

}  // namespace

LifetimePlan::Handle LifetimePlan::add_bytes(std::string_view purpose, const Shape& shape,
                                             std::size_t element_size, const Lifetime& lifetime) {
  NATIVO_CHECK(lifetime.first <= lifetime.last, "a tensor dies before it is born");
  const auto found = std::find(purposes_.begin(), purposes_.end(), purpose);
  const auto index = static_cast<std::size_t>(found - purposes_.begin());
  if (found == purposes_.end()) purposes_.emplace_back(purpose);
  const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * element_size;
  tensors_.push_back({index, shape, element_size, lifetime,
                      (bytes + kAlignment - 1) / kAlignment * kAlignment, 0});
  return tensors_.size() - 1;
}

void LifetimePlan::place() {
  std::vector<std::size_t> order(tensors_.size());
  std::vector<std::size_t> offsets(tensors_.size());
  bytes_ = SIZE_MAX;
  for (const bool by_size : {true, false}) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const Tensor& x = tensors_[a];
      const Tensor& y = tensors_[b];
      if (by_size) {
        return std::tuple(y.size, x.lifetime.first) < std::tuple(x.size, y.lifetime.first);
      }
      return std::tuple(y.lifetime.last, x.lifetime.first, y.size) <
             std::tuple(x.lifetime.last, y.lifetime.first, x.size);
    });
    std::vector<Placed> placed;
    std::size_t total = 0;
    for (const std::size_t index : order) {
      const Tensor& tensor = tensors_[index];
      const std::size_t offset = lowest_fit(placed, tensor.lifetime, tensor.size);
      offsets[index] = offset;
      if (tensor.size == 0) continue;
      const Placed entry{offset, offset + tensor.size, tensor.lifetime};
      placed.insert(
          std::upper_bound(placed.begin(), placed.end(), entry,
                           [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
          entry);
      total = std::max(total, entry.end);
    }
    if (total >= bytes_) continue;
    bytes_ = total;
    for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].offset = offsets[i];
  }
}

ArenaPlan::Slot LifetimePlan::slot(Handle tensor) const {
  const Tensor& at = tensors_.at(tensor);
  return {at.offset, at.shape, at.element_size};
}

std::vector<ArenaPlan::Purpose> LifetimePlan::fullest(const Lifetime& period) const {
  // The need changes only where a tensor is born.
  std::vector<std::int64_t> moments{period.first};
  for (const Tensor& tensor : tensors_) {
    if (tensor.lifetime.first > period.first && tensor.lifetime.first <= period.last) {
      moments.push_back(tensor.lifetime.first);
    }
  }
  std::vector<ArenaPlan::Purpose> most;
  std::size_t greatest = 0;
  for (const std::int64_t moment : moments) {
    std::vector<ArenaPlan::Purpose> now;
    for (const std::string& purpose : purposes_) now.push_back({purpose, 0});
    std::size_t total = 0;
    for (const Tensor& tensor : tensors_) {
      if (tensor.lifetime.first > moment || tensor.lifetime.last < moment) continue;
      now[tensor.purpose].bytes += tensor.size;
      total += tensor.size;
    }
    if (total > greatest || most.empty()) {
      greatest = total;
      most = std::move(now);
    }
  }
  return most;
}

}  // namespace nativo::tensor
