// How sure a number is: the paired percentile bootstrap (Efron & Tibshirani, An Introduction to the
// Bootstrap, 1993, chapter 13). Rule: all columns of a task are resampled with the same items, so
// the difference between two models is judged item by item.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nativo::eval {

/// Means of resampled items: result[c][r] is the mean of columns[c] over resample r. Columns have
/// one length (not 0). Resample r depends only on (seed, name, r), not on the number of threads.
[[nodiscard]] std::vector<std::vector<double>> bootstrap_means(
    std::span<const std::span<const double>> columns, std::int64_t resamples, std::int64_t seed,
    std::string_view name);

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// The central interval that holds `confidence` of `draws` (not empty); quantiles are interpolated
/// linearly, as numpy.percentile does.
[[nodiscard]] Interval percentile_interval(std::vector<double> draws, double confidence);

}  // namespace nativo::eval
