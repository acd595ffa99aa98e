#include "text/chrf.h"

#include <cstdint>
#include <vector>

#include "text/ngram_matches.h"
#include "text/normalize.h"
#include "text/white_space.h"

namespace nativo::text {
namespace {

std::vector<std::uint32_t> characters(std::string_view text) {
  std::vector<std::uint32_t> all;
  all.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = static_cast<unsigned char>(text[at]) < 0x80
                           ? static_cast<char32_t>(text[at++])
                           : next_code_point(text, at);
    if (!is_white_space(c)) all.push_back(c);
  }
  return all;
}

double ngrams_of(std::size_t length, std::size_t n) {
  return length < n ? 0.0 : static_cast<double>(length - n + 1);
}

ChrfCounts counts_against(const NgramCounts& hypothesis, std::size_t length,
                          const std::vector<std::uint32_t>& reference) {
  const std::vector<std::uint64_t> matches = hypothesis.matches({&reference, 1});
  ChrfCounts counts{};
  for (std::size_t n = 1; n <= kChrfOrder; ++n) {
    double* const of_order = &counts[3 * (n - 1)];
    of_order[1] = ngrams_of(reference.size(), n);
    // Where the reference is too short for an n-gram, nothing is held against the hypothesis.
    of_order[0] = of_order[1] > 0 ? ngrams_of(length, n) : 0.0;
    of_order[2] = static_cast<double>(matches[n - 1]);
  }
  return counts;
}

}  // namespace

ChrfCounts chrf_counts(std::string_view hypothesis, std::span<const std::string> references) {
  const std::vector<std::uint32_t> symbols = characters(hypothesis);
  const NgramCounts ngrams(symbols, kChrfOrder);
  if (references.empty()) return counts_against(ngrams, symbols.size(), {});
  ChrfCounts best{};
  double best_score = -1.0;
  for (const std::string& reference : references) {
    const ChrfCounts counts = counts_against(ngrams, symbols.size(), characters(reference));
    const double score = chrf_score(counts);
    if (score > best_score) {
      best_score = score;
      best = counts;
    }
  }
  return best;
}

double chrf_score(const ChrfCounts& counts) {
  constexpr double kBetaSquared = 4.0;
  double precision = 0.0;
  double recall = 0.0;
  double orders = 0.0;
  for (std::size_t n = 0; n < kChrfOrder; ++n) {
    const double hypothesis = counts[3 * n];
    const double reference = counts[3 * n + 1];
    if (hypothesis <= 0 || reference <= 0) continue;
    precision += counts[3 * n + 2] / hypothesis;
    recall += counts[3 * n + 2] / reference;
    ++orders;
  }
  if (precision + recall <= 0) return 0.0;
  precision /= orders;
  recall /= orders;
  return 100.0 * ((1 + kBetaSquared) * precision * recall / (kBetaSquared * precision + recall));
}

double chrf(std::string_view hypothesis, std::string_view reference) {
  const std::string text(reference);
  return chrf_score(chrf_counts(hypothesis, {&text, 1}));
}

}  // namespace nativo::text
