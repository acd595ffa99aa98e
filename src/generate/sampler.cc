#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace nativo::generate {
namespace {

/// Keeps draws apart from the other uses of the same seed.
constexpr std::uint64_t kSamplerStream = 0x73616D706C65;  // "sample"

}  // namespace

void SamplerOptions::visit(config::Visitor& v) {
  v.value({.name = "temperature",
           .help = "0 = always the most likely token; higher = more varied",
           .min = 0,
           .max = 100},
          temperature);
  v.value({.name = "top_k", .help = "draw from the k most likely tokens; 0 = all", .min = 0},
          top_k);
  v.value({.name = "top_p",
           .help = "draw from the fewest tokens that hold this probability; 1 = all",
           .min = 0,
           .max = 1},
          top_p);
  v.value({.name = "min_p",
           .help = "drop tokens below this share of the best one's probability; 0 = none",
           .min = 0,
           .max = 1},
          min_p);
  v.value({.name = "repetition_penalty",
           .help = "divides the odds of tokens already seen; 1 = none",
           .min = 0.01,
           .max = 100},
          repetition_penalty);
  v.value({.name = "max_tokens", .help = "longest answer, in tokens", .min = 1, .max = 1e6},
          max_tokens);
  v.value({.name = "seed", .help = "the same seed gives the same text", .min = 0}, seed);
}

SamplerOptions greedy(std::int64_t max_tokens) {
  SamplerOptions options;
  options.temperature = 0.0;
  options.top_p = 1.0;
  options.repetition_penalty = 1.0;
  options.max_tokens = max_tokens;
  return options;
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {}

void Sampler::collect(std::span<const float> logits, std::span<const text::TokenId> history) {
  const bool penalise = options_.repetition_penalty != 1.0;
  if (penalise) {
    seen_.assign(logits.size(), 0);
    for (const text::TokenId id : history) {
      if (id >= 0 && static_cast<std::size_t>(id) < seen_.size()) seen_[id] = 1;
    }
  }
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i])) continue;
    double logit = logits[i];
    if (penalise && seen_[i] != 0) {
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
    candidates_.push_back({logit, static_cast<text::TokenId>(i)});
  }
  if (candidates_.empty()) {
    throw Error(ExitCode::kData, "the model's logits are not numbers",
                "its weights are damaged, or training diverged");
  }
}

void Sampler::truncate() {
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
  };
  const auto top_k = static_cast<std::size_t>(options_.top_k);
  if (top_k > 0 && top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(),
                     more_likely);
    candidates_.resize(top_k);
  }
  std::sort(candidates_.begin(), candidates_.end(), more_likely);

  const double best = candidates_.front().value;
  double sum = 0.0;
  for (Candidate& candidate : candidates_) {
    candidate.value = std::exp((candidate.value - best) / options_.temperature);
    sum += candidate.value;
  }
  std::size_t kept = candidates_.size();
  if (options_.top_p < 1.0) {
    double reached = 0.0;
    for (kept = 0; kept < candidates_.size() && reached < options_.top_p * sum; ++kept) {
      reached += candidates_[kept].value;
    }
  }
  // The best candidate's value is exp(0) = 1, so min_p compares directly.
  while (kept > 1 && candidates_[kept - 1].value < options_.min_p) --kept;
  candidates_.resize(std::max<std::size_t>(kept, 1));
}

text::TokenId Sampler::draw(std::span<const float> logits, std::span<const text::TokenId> history,
                            std::uint64_t position) {
  collect(logits, history);
  if (options_.temperature <= 0.0) {
    const auto best =
        std::max_element(candidates_.begin(), candidates_.end(),
                         [](const Candidate& a, const Candidate& b) { return a.value < b.value; });
    return best->id;
  }
  truncate();
  double sum = 0.0;
  for (const Candidate& candidate : candidates_) sum += candidate.value;
  Rng rng(static_cast<std::uint64_t>(options_.seed), kSamplerStream, position);
  double left = rng.uniform() * sum;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.value;
    if (left < 0.0) return candidate.id;
  }
  return candidates_.back().id;
}

}  // namespace nativo::generate
