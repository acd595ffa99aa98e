// BLEU (Papineni et al., ACL 2002) as sacreBLEU computes it (Post, A Call for Clarity in Reporting
// BLEU Scores, WMT 2018): tokens of mteval-v13a, case kept, exponential smoothing.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace nativo::eval {

inline constexpr std::size_t kBleuOrder = 4;

/// `segment` as mteval-v13a cuts it: tokens between white space, however wide (split it with
/// text::split_white_space).
[[nodiscard]] std::string tokenize_13a(std::string_view segment);

/// Counts of one segment or, added up, of many. Whole numbers.
struct BleuCounts {
  std::array<double, kBleuOrder> correct{};  ///< n-grams found in a reference, clipped
  std::array<double, kBleuOrder> total{};    ///< n-grams of the hypothesis
  double hypothesis_length = 0.0;            ///< tokens
  double reference_length = 0.0;             ///< tokens of the reference nearest in length

  void add(const BleuCounts& other);
};

/// Of equally near references the shorter one gives the length. No reference: length 0.
[[nodiscard]] BleuCounts bleu_counts(std::string_view hypothesis,
                                     std::span<const std::string> references);

struct Bleu {
  double score = 0.0;                           ///< 0..100
  std::array<double, kBleuOrder> precisions{};  ///< in percent, smoothed
  double brevity_penalty = 1.0;
};

/// How many orders of n-grams count.
enum class BleuOrders {
  kAll,        ///< for a corpus
  kEffective,  ///< those that the hypothesis is long enough for: for a sentence
};

[[nodiscard]] Bleu bleu(const BleuCounts& counts, BleuOrders orders);

}  // namespace nativo::eval
