// Memory for keys and values of tokens: rows of one size from a pool, given back when a sentence
// ends, so that a search neither copies what it holds nor asks the system for memory at each step.
// Not here: a decoder-only model's cache (model/decode_session.h). Rule: one thread a pool, and the
// pool outlives its rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace nativo::model {

class KeyValuePool {
 public:
  /// Sets the floats of a row; the same at every call.
  void set_row_floats(std::int64_t floats);

  /// A row of undefined contents.
  [[nodiscard]] float* take();
  void give_back(float* row) { free_.push_back(row); }

 private:
  struct Freed {
    void operator()(void* memory) const;
  };

  std::int64_t floats_ = 0;
  std::vector<std::unique_ptr<void, Freed>> slabs_;
  std::vector<float*> free_;  ///< the last one was used last: it is still in the cache
};

/// Rows that go back to their pool with their owner.
class KeyValueRows {
 public:
  KeyValueRows() = default;
  explicit KeyValueRows(KeyValuePool& pool) : pool_(&pool) {}
  KeyValueRows(KeyValueRows&&) noexcept = default;
  KeyValueRows& operator=(KeyValueRows&& other) noexcept;
  ~KeyValueRows() { clear(); }

  void clear();
  /// Takes rows until there are `count`.
  void grow(std::size_t count);
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] float* operator[](std::size_t row) const { return rows_[row]; }

 private:
  KeyValuePool* pool_ = nullptr;
  std::vector<float*> rows_;
};

}  // namespace nativo::model
