// From logits to one token: temperature, truncation, chance.
// Not here: running the model. Rule: the choice depends on (logits, history, options, seed,
// position) alone, so the same seed gives the same text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/visitor.h"
#include "text/tokenizer.h"

namespace nativo::generate {

/// How tokens are drawn. The order of application is that of transformers' generate(): repetition
/// penalty, temperature, top_k, top_p, min_p.
struct SamplerOptions {
  double temperature = 0.7;  ///< 0 = greedy: the most likely token, the lowest id among equals
  std::int64_t top_k = 0;    ///< keep the k most likely tokens; 0 = all
  double top_p = 0.95;       ///< keep the fewest tokens with this probability together; 1 = all
  double min_p = 0.0;        ///< drop tokens below this share of the best one's probability
  double repetition_penalty = 1.0;  ///< CTRL, arXiv:1909.05858 section 4.1; 1 = none
  std::int64_t max_tokens = 256;    ///< at most so many new tokens
  std::int64_t seed = 1;
  void visit(config::Visitor& v);
};

/// Greedy decoding without penalties, for evaluation.
[[nodiscard]] SamplerOptions greedy(std::int64_t max_tokens);

/// Draws tokens. Holds no state but buffers; not thread-safe.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);

  /// The next token after `history` (prompt and what was generated; penalised when it repeats),
  /// drawn from `logits` [V]. `position` counts generated tokens from 0. Entries that are not
  /// finite are never drawn; throws Error(kData) when none is finite.
  [[nodiscard]] text::TokenId draw(std::span<const float> logits,
                                   std::span<const text::TokenId> history, std::uint64_t position);

 private:
  struct Candidate {
    double value;  ///< logit, then probability
    text::TokenId id;
  };

  void collect(std::span<const float> logits, std::span<const text::TokenId> history);
  void truncate();

  SamplerOptions options_;
  std::vector<Candidate> candidates_;
  std::vector<std::uint8_t> seen_;
};

}  // namespace nativo::generate
