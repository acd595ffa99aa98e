// Scoring requests as batches: many short sequences side by side, each its own document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "generate/language_model.h"
#include "model/decoder.h"

namespace nativo::generate {

/// Where the targets of one request lie in a batch: `count` consecutive places from `first`.
struct Placement {
  std::size_t request = 0;
  std::size_t first = 0;
  std::size_t count = 0;
};

struct ScoreBatch {
  model::Batch batch;
  std::vector<Placement> placements;
};

/// Packs `requests` (context not empty) longest first into batches of about `batch_tokens` tokens;
/// each request appears in exactly one. Sequences longer than context_length + 1 lose their
/// beginning; empty continuations get no placement. Throws Error(kData) when a continuation is
/// longer than the window.
[[nodiscard]] std::vector<ScoreBatch> pack_requests(std::span<const ScoreRequest> requests,
                                                    std::int64_t context_length,
                                                    std::int64_t batch_tokens);

}  // namespace nativo::generate
