// Scans with vectors; only a logit above the least that is kept is looked at alone.
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

void scan(std::span<const float> logits, std::int32_t first, std::size_t count, bool with_sum,
          BestLogits& out) {
  const FloatTag d;
  const auto size = static_cast<std::int64_t>(logits.size());
  const std::int64_t lanes = float_lanes();
  const float lowest = -std::numeric_limits<float>::infinity();
  out.best.clear();
  float least = lowest;  // what a candidate must exceed
  const auto look = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (!(logits[static_cast<std::size_t>(i)] > least)) continue;
      insert({logits[static_cast<std::size_t>(i)], first + static_cast<std::int32_t>(i)}, count,
             out.best);
      if (out.best.size() == count) least = out.best.back().logit;
    }
  };
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto value = hn::LoadU(d, logits.data() + i);
    if (!hn::AllFalse(d, hn::Gt(value, hn::Set(d, least)))) look(i, i + lanes);
  }
  look(i, size);
  out.most = out.best.empty() ? lowest : out.best.front().logit;
  out.sum = 0.0F;
  if (!with_sum || out.best.empty()) return;
  const auto top = hn::Set(d, out.most);
  auto sum = hn::Zero(d);
  for (i = 0; i + lanes <= size; i += lanes) {
    sum = hn::Add(sum, exp_fast(hn::Sub(hn::LoadU(d, logits.data() + i), top)));
  }
  out.sum = sum_lanes(sum);
  for (; i < size; ++i) out.sum += std::exp(logits[static_cast<std::size_t>(i)] - out.most);
}

}  // namespace nativo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nativo::ops {
namespace {
HWY_EXPORT(scan);
}  // namespace

void scan_logits(std::span<const float> logits, std::int32_t first, std::size_t count,
                 bool with_sum, BestLogits& out) {
  HWY_DYNAMIC_DISPATCH(scan)(logits, first, count, with_sum, out);
}

void merge_logits(const BestLogits& next, std::size_t count, BestLogits& row) {
  if (next.best.empty()) return;
  if (row.best.empty()) {
    row = next;
    return;
  }
  const float most = std::max(row.most, next.most);
  row.sum = row.sum * std::exp(row.most - most) + next.sum * std::exp(next.most - most);
  row.most = most;
  std::vector<Candidate> both;
  both.reserve(row.best.size() + next.best.size());
  std::merge(row.best.begin(), row.best.end(), next.best.begin(), next.best.end(),
             std::back_inserter(both),
             [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  if (both.size() > count) both.resize(count);
  row.best = std::move(both);
}

}  // namespace nativo::ops
#endif  // HWY_ONCE
