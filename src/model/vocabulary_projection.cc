#include "model/vocabulary_projection.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"

namespace nativo::model {

void best_outputs(const InferenceLinear& projection, tensor::View<const float> x, std::size_t count,
                  bool with_sum, const EditLogits& edit, VocabularyScratch& scratch,
                  std::span<BestLogits> best) {
  constexpr std::int64_t kBlock = InferenceLinear::kOutputBlock;
  const std::int64_t rows = x.size(0);
  NATIVO_CHECK(static_cast<std::int64_t>(best.size()) == rows, "a result a row");
  projection.prepare(x, scratch.linear);
  const std::int64_t blocks = (projection.outputs() + kBlock - 1) / kBlock;
  scratch.parts.resize(static_cast<std::size_t>(rows * blocks));
  const auto part = [&](std::int64_t row, std::int64_t block) -> BestLogits& {
    return scratch.parts[static_cast<std::size_t>(row * blocks + block)];
  };
  parallel_for(static_cast<std::size_t>(blocks), [&](std::size_t item) {
    const auto block = static_cast<std::int64_t>(item);
    const std::int64_t first = block * kBlock;
    const std::int64_t outputs = std::min(kBlock, projection.outputs() - first);
    std::vector<float> logits(static_cast<std::size_t>(rows * outputs));
    projection.forward_outputs(x, scratch.linear, first, {logits.data(), {rows, outputs}});
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::span<float> line(logits.data() + row * outputs, static_cast<std::size_t>(outputs));
      edit(static_cast<std::size_t>(row), static_cast<std::int32_t>(first), line);
      ops::scan_logits(line, static_cast<std::int32_t>(first), count, with_sum, part(row, block));
    }
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    BestLogits& result = best[static_cast<std::size_t>(row)];
    result = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      ops::merge_logits(part(row, block), count, result);
    }
  }
}

}  // namespace nativo::model
