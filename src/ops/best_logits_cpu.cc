// Scans with vectors; logits are looked at alone only where a vector holds one above the least that
// is kept.
#include <algorithm>
#include <cmath>

#include "ops/best_logits.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/best_logits_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nativo::ops::HWY_NAMESPACE {

/// Inserts `candidate`, which has a higher id than all in `best`, behind its equals.
HWY_INLINE void insert(Candidate candidate, std::size_t count, std::vector<Candidate>& best) {
  std::size_t at = best.size();
  while (at > 0 && best[at - 1].logit < candidate.logit) --at;
  if (best.size() == count) {
    if (at == count) return;
    best.pop_back();
  }
  best.insert(best.begin() + static_cast<std::ptrdiff_t>(at), candidate);
}

/// The largest; a NaN does not count.
HWY_INLINE float largest(const float* logits, std::int64_t size) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  float most = -std::numeric_limits<float>::infinity();
  const auto larger = [&](FloatVec best, std::int64_t at) {
    const auto value = hn::LoadU(d, logits + at);
    return hn::IfThenElse(hn::Gt(value, best), value, best);
  };
  // Four side by side: each waits for the one before.
  auto first = hn::Set(d, most);
  auto second = first;
  auto third = first;
  auto fourth = first;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
    first = larger(first, i);
    second = larger(second, i + lanes);
    third = larger(third, i + 2 * lanes);
    fourth = larger(fourth, i + 3 * lanes);
  }
  for (; i + lanes <= size; i += lanes) first = larger(first, i);
  most = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(first, second), hn::Max(third, fourth))));
  for (; i < size; ++i) {
    if (logits[i] > most) most = logits[i];
  }
  return most;
}

LogitBlock scan(const float* logits, std::int64_t size, std::int32_t first, std::size_t count,
                bool with_sum, std::vector<Candidate>& best) {
  const FloatTag d;
  const std::int64_t lanes = float_lanes();
  const float lowest = -std::numeric_limits<float>::infinity();
  LogitBlock block;
  block.most = largest(logits, size);
  // What a candidate must exceed.
  float least = best.size() == count && count > 0 ? best.back().logit : lowest;
  const auto look = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (!(logits[i] > least)) continue;
      insert({logits[i], first + static_cast<std::int32_t>(i)}, count, best);
      if (best.size() == count) least = best.back().logit;
    }
  };
  std::int64_t i = 0;
  if (block.most > least) {
    for (; i + lanes <= size; i += lanes) {
      const auto value = hn::LoadU(d, logits + i);
      if (!hn::AllFalse(d, hn::Gt(value, hn::Set(d, least)))) look(i, i + lanes);
    }
    look(i, size);
  }
  if (!with_sum || block.most == lowest) return block;
  const auto top = hn::Set(d, block.most);
  auto sum = hn::Zero(d);
  for (i = 0; i + lanes <= size; i += lanes) {
    sum = hn::Add(sum, exp_of_negative(hn::Sub(hn::LoadU(d, logits + i), top)));
  }
  block.sum = sum_lanes(sum);
  for (; i < size; ++i) block.sum += std::exp(logits[i] - block.most);
  return block;
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(scan);
}  // namespace

LogitBlock scan_logits(std::span<const float> logits, std::int32_t first, std::size_t count,
                       bool with_sum, std::vector<Candidate>& best) {
  return HWY_DYNAMIC_DISPATCH(scan)(logits.data(), static_cast<std::int64_t>(logits.size()), first,
                                    count, with_sum, best);
}

void merge_candidates(const std::vector<Candidate>& next, std::size_t count,
                      std::vector<Candidate>& best) {
  std::vector<Candidate> both;
  both.reserve(best.size() + next.size());
  std::merge(best.begin(), best.end(), next.begin(), next.end(), std::back_inserter(both),
             [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  if (both.size() > count) both.resize(count);
  best = std::move(both);
}

LogitBlock sum_blocks(std::span<const LogitBlock> blocks) {
  LogitBlock all;
  for (const LogitBlock& block : blocks) all.most = std::max(all.most, block.most);
  for (const LogitBlock& block : blocks) {
    if (block.sum != 0.0F) all.sum += block.sum * std::exp(block.most - all.most);
  }
  return all;
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
