// Copies and sums of rows; bound by memory.
#include "ops/embedding.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/elementwise.h"
#include "ops/same_device.h"

namespace nativo::ops {

void embedding_forward(tensor::View<const float> table, std::span<const std::int32_t> tokens,
                       tensor::View<float> y) {
  gather_rows(table, tokens, y);
}

void embedding_backward(tensor::View<const float> dy, std::span<const std::int32_t> tokens,
                        tensor::View<float> dtable) {
  NATIVO_CHECK(
      dy.shape() == (tensor::Shape{static_cast<std::int64_t>(tokens.size()), dtable.size(1)}),
      "embedding: dy is not [N,C]");
  if (on_gpu(dy, dtable)) {
    return cuda::Elementwise<float>::embedding_backward(dy, tokens, dtable);
  }
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tokens[a] < tokens[b]; });
  std::vector<std::size_t> starts;  // of each run of one token in `order`
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || tokens[order[i]] != tokens[order[i - 1]]) starts.push_back(i);
  }
  starts.push_back(order.size());
  const std::int64_t columns = dtable.size(1);
  constexpr std::size_t kRuns = 32;
  parallel_for((starts.size() - 1 + kRuns - 1) / kRuns, [&](std::size_t block) {
    const std::size_t last = std::min(starts.size() - 1, (block + 1) * kRuns);
    for (std::size_t run = block * kRuns; run < last; ++run) {
      float* to = dtable.data() + tokens[order[starts[run]]] * columns;
      for (std::size_t i = starts[run]; i < starts[run + 1]; ++i) {
        const float* from = dy.data() + static_cast<std::int64_t>(order[i]) * columns;
        for (std::int64_t column = 0; column < columns; ++column) to[column] += from[column];
      }
    }
  });
}

void embedding_forward(tensor::View<const tensor::bf16> table, std::span<const std::int32_t> tokens,
                       tensor::View<tensor::bf16> y) {
  gather_rows(table, tokens, y);
}

void embedding_backward(tensor::View<const tensor::bf16> dy, std::span<const std::int32_t> tokens,
                        tensor::View<tensor::bf16> dtable) {
  NATIVO_CHECK(
      dy.shape() == (tensor::Shape{static_cast<std::int64_t>(tokens.size()), dtable.size(1)}),
      "embedding: dy is not [N,C]");
  require_gpu(dy, dtable);
  cuda::Elementwise<tensor::bf16>::embedding_backward(dy, tokens, dtable);
}

}  // namespace nativo::ops
