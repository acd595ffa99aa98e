#include "model/vocabulary_projection.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/parallel_work.h"

namespace nativo::model {
namespace {

/// Rows whose logits of a block are computed before they are scanned: what they take is still in
/// the cache then.
constexpr std::int64_t kRowsTogether = 32;

}  // namespace

void best_outputs(const InferenceLinear& projection, tensor::View<const float> x, std::size_t count,
                  bool with_sum, const EditLogits& edit, VocabularyScratch& scratch,
                  std::span<BestLogits> best) {
  constexpr std::int64_t kBlock = InferenceLinear::kOutputBlock;
  const std::int64_t rows = x.size(0);
  NATIVO_CHECK(static_cast<std::int64_t>(best.size()) == rows, "a result a row");
  projection.prepare(x, scratch.linear);
  const std::int64_t blocks = (projection.outputs() + kBlock - 1) / kBlock;
  scratch.sums.resize(static_cast<std::size_t>(rows * blocks));
  // Each range of blocks is scanned in order, so that its best so far keep most logits out.
  const std::int64_t ranges = std::clamp<std::int64_t>(threads_here(), 1, std::max(blocks, 1L));
  scratch.best_ranges.resize(static_cast<std::size_t>(rows * ranges));
  parallel_work(
      static_cast<std::size_t>(ranges),
      static_cast<double>(x.elements() * projection.outputs()) / 200.0, [&](std::size_t item) {
        const auto range = static_cast<std::int64_t>(item);
        std::vector<ops::Candidate>* candidates = scratch.best_ranges.data() + range * rows;
        for (std::int64_t row = 0; row < rows; ++row) candidates[row].clear();
        const auto logits = std::make_unique_for_overwrite<float[]>(
            static_cast<std::size_t>(std::min(kRowsTogether, rows) * kBlock));
        for (std::int64_t block = blocks * range / ranges; block < blocks * (range + 1) / ranges;
             ++block) {
          const std::int64_t first = block * kBlock;
          const std::int64_t outputs = std::min(kBlock, projection.outputs() - first);
          for (std::int64_t from = 0; from < rows; from += kRowsTogether) {
            const std::int64_t some = std::min(kRowsTogether, rows - from);
            projection.forward_outputs(x, scratch.linear, from, first,
                                       {logits.get(), {some, outputs}});
            for (std::int64_t i = 0; i < some; ++i) {
              const std::int64_t row = from + i;
              const std::span<float> line(logits.get() + i * outputs,
                                          static_cast<std::size_t>(outputs));
              edit(static_cast<std::size_t>(row), static_cast<std::int32_t>(first), line);
              scratch.sums[static_cast<std::size_t>(row * blocks + block)] = ops::scan_logits(
                  line, static_cast<std::int32_t>(first), count, with_sum, candidates[row]);
            }
          }
        }
      });
  for (std::int64_t row = 0; row < rows; ++row) {
    BestLogits& result = best[static_cast<std::size_t>(row)];
    const ops::LogitBlock all = ops::sum_blocks(
        std::span(scratch.sums)
            .subspan(static_cast<std::size_t>(row * blocks), static_cast<std::size_t>(blocks)));
    result.most = all.most;
    result.sum = all.sum;
    result.best = scratch.best_ranges[static_cast<std::size_t>(row)];
    for (std::int64_t range = 1; range < ranges; ++range) {
      ops::merge_candidates(scratch.best_ranges[static_cast<std::size_t>(range * rows + row)],
                            count, result.best);
    }
  }
}

}  // namespace nativo::model
