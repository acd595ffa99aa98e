// How probable a model finds given tokens: a stream of examples in, their log-probabilities out.
// Not here: generation, tasks and accuracy (eval/). Rule: results come in the order of the
// examples, each as soon as its batch is done.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/example.h"

namespace nativo::train {

/// What the model thinks of one example.
struct Score {
  std::string id;
  std::int64_t tokens = 0;  ///< of the example
  /// log p(token | the tokens before it), natural logarithm, one a token but the first, which
  /// nothing precedes: log_probs[i] belongs to token i + 1.
  std::vector<float> log_probs;
  std::int64_t targets = 0;  ///< tokens with loss_mask 1, the first not counted
  double loss = 0.0;         ///< sum of -log p over the targets; the mean is loss / targets
};

/// Sets its argument to the next example; false at the end.
using NextExample = std::function<bool(Example&)>;

/// Calls `take` with the score of every example that `next` gives. Examples are packed side by side
/// into batches of about `batch_tokens` (> 0) positions; what shares a batch does not see each
/// other, so that a score is that of the example alone, to rounding. Memory holds one batch. When
/// `next` throws, what it gave before is scored first. Throws Error(kData) naming an example that
/// is longer than the model's positions, and what `next` and `take` throw.
void score_examples(model::Decoder& decoder, const NextExample& next, std::int64_t batch_tokens,
                    const std::function<void(const Score&)>& take);

}  // namespace nativo::train
