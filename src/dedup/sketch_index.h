// All stored vectors whose inner product with a query reaches a threshold: exact range search, the
// job of FAISS's IndexFlatIP, done here because Debian's FAISS does it with SSE code and whatever
// BLAS is there (measured on one core of an EPYC: 2.4 GFLOP/s against 60). tests/dedup compares the
// two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nativo::dedup {

struct Hit {
  std::uint32_t row = 0;  ///< number of the stored vector, in order of add()
  float product = 0.0F;
};

/// Grows by add(); search() sees what was added before. Not to be changed while searched.
class SketchIndex {
 public:
  explicit SketchIndex(std::size_t dimension);

  [[nodiscard]] std::size_t size() const { return size_; }

  /// Copies one vector of `dimension` floats.
  void add(std::span<const float> vector);

  /// For each of the `queries` (count x dimension floats, row by row) the rows with product >=
  /// `threshold`, by row number. Runs on all threads; each product is summed over the dimensions in
  /// order, so that it depends on neither threads nor neighbours.
  [[nodiscard]] std::vector<std::vector<Hit>> search(std::span<const float> queries,
                                                     float threshold) const;

 private:
  std::size_t dimension_;
  std::size_t size_ = 0;
  std::vector<float> panels_;  ///< panels of kPanelRows vectors, each dimension x kPanelRows
};

}  // namespace nativo::dedup
