// chrF2: how near a text is to a reference, by the character n-grams they share (Popović, chrF, WMT
// 2015). Equal to sacreBLEU's chrF2: 6 orders, beta 2, white space left out, no word n-grams.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace nativo::text {

inline constexpr std::size_t kChrfOrder = 6;

/// Counts of one segment or, added up, of many: for n = 1..6 the n-grams of the hypothesis, of the
/// reference, and those in common (clipped). Whole numbers.
using ChrfCounts = std::array<double, 3 * kChrfOrder>;

/// Counts against the reference that gives the best score (the first of equals). No reference:
/// against "".
[[nodiscard]] ChrfCounts chrf_counts(std::string_view hypothesis,
                                     std::span<const std::string> references);

/// The score of counts, 0..100. Means of counts give the same score as their sums.
[[nodiscard]] double chrf_score(const ChrfCounts& counts);

/// chrF2 of one text against one reference, 0..100.
[[nodiscard]] double chrf(std::string_view hypothesis, std::string_view reference);

}  // namespace nativo::text
