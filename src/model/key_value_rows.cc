#include "model/key_value_rows.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/error.h"
#include "base/huge_pages.h"

namespace nativo::model {
namespace {

constexpr std::size_t kSlab = 4 * kHugePage;

}  // namespace

void KeyValuePool::Freed::operator()(void* memory) const { std::free(memory); }

void KeyValuePool::set_row_floats(std::int64_t floats) {
  NATIVO_CHECK(floats > 0 && (floats_ == 0 || floats_ == floats), "a pool has rows of one size");
  floats_ = floats;
}

float* KeyValuePool::take() {
  NATIVO_CHECK(floats_ > 0, "the size of the pool's rows is known");
  if (free_.empty()) {
    const auto floats = static_cast<std::size_t>(floats_);
    const std::size_t rows = std::max<std::size_t>(kSlab / (floats * sizeof(float)), 1);
    const std::size_t bytes =
        (rows * floats * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
    slabs_.emplace_back(std::aligned_alloc(kHugePage, bytes));
    if (slabs_.back() == nullptr) throw std::bad_alloc();
    // Rows lie wherever one was free: with small pages each access would miss the TLB.
    prefer_huge_pages(slabs_.back().get(), bytes);
    auto* const first = static_cast<float*>(slabs_.back().get());
    for (std::size_t row = rows; row-- > 0;) free_.push_back(first + row * floats);
  }
  float* const row = free_.back();
  free_.pop_back();
  return row;
}

KeyValueRows& KeyValueRows::operator=(KeyValueRows&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = other.pool_;
    rows_ = std::move(other.rows_);
    other.rows_.clear();
  }
  return *this;
}

void KeyValueRows::clear() {
  for (float* const row : rows_) pool_->give_back(row);
  rows_.clear();
}

void KeyValueRows::grow(std::size_t count) {
  while (rows_.size() < count) rows_.push_back(pool_->take());
}

}  // namespace nativo::model
