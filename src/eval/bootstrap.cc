#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/rng.h"

namespace nativo::eval {
namespace {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = place - static_cast<double>(below);
  return sorted[below] * (1.0 - weight) + sorted[above] * weight;
}

}  // namespace

std::vector<std::vector<double>> bootstrap_means(std::span<const std::span<const double>> columns,
                                                 std::int64_t resamples, std::int64_t seed,
                                                 std::string_view name) {
  NATIVO_CHECK(!columns.empty() && !columns[0].empty(), "nothing to resample");
  const std::size_t items = columns[0].size();
  const auto count = static_cast<std::size_t>(resamples);
  std::vector<std::vector<double>> means(columns.size(), std::vector<double>(count));
  const std::uint64_t key = xxh64(name, static_cast<std::uint64_t>(seed));
  parallel_for(count, [&](std::size_t resample) {
    Rng rng(key, resample);
    std::vector<double> sums(columns.size());
    for (std::size_t i = 0; i < items; ++i) {
      const std::size_t item = rng.below(items);
      for (std::size_t c = 0; c < columns.size(); ++c) sums[c] += columns[c][item];
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {
      means[c][resample] = sums[c] / static_cast<double>(items);
    }
  });
  return means;
}

Interval percentile_interval(std::vector<double> draws, double confidence) {
  NATIVO_CHECK(!draws.empty(), "an interval needs draws");
  std::ranges::sort(draws);
  const double tail = (1.0 - confidence) / 2.0;
  return {.low = quantile(draws, tail), .high = quantile(draws, 1.0 - tail)};
}

}  // namespace nativo::eval
