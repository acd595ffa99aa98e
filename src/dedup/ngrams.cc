#include "dedup/ngrams.h"

#include <algorithm>
#include <cmath>

#include "text/normalize.h"

namespace nativo::dedup {
namespace {

/// SplitMix64's finaliser (Steele et al., OOPSLA 2014).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

std::vector<std::uint64_t> ngram_set(std::string_view folded) {
  // One space at each end, so that first and last words have edges like all others.
  std::vector<char32_t> text;
  text.reserve(folded.size() + 2);
  text.push_back(' ');
  for (std::size_t at = 0; at < folded.size();) {
    text.push_back(text::next_code_point(folded, at));
  }
  text.push_back(' ');
  std::vector<std::uint64_t> grams;
  grams.reserve(3 * text.size());
  for (std::size_t i = 0; i + 3 <= text.size(); ++i) {
    // 21 bits a code point: three of them are one number, two more are mixed in.
    std::uint64_t hash = (std::uint64_t{text[i]} << 42U) | (std::uint64_t{text[i + 1]} << 21U) |
                         std::uint64_t{text[i + 2]};
    hash = mix(hash + 0x9E3779B97F4A7C15ULL);
    grams.push_back(hash);
    for (std::size_t n = 3; n < 5 && i + n < text.size(); ++n) {
      hash = mix(hash ^ (std::uint64_t{text[i + n]} * 0x9E3779B97F4A7C15ULL));
      grams.push_back(hash);
    }
  }
  std::ranges::sort(grams);
  grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
  return grams;
}

double set_cosine(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  if (a.empty() || b.empty()) return 0.0;
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    common += a[i] == b[j] ? 1U : 0U;
    const bool left = a[i] <= b[j];
    j += b[j] <= a[i] ? 1U : 0U;
    i += left ? 1U : 0U;
  }
  return static_cast<double>(common) /
         std::sqrt(static_cast<double>(a.size()) * static_cast<double>(b.size()));
}

void make_sketch(std::span<const std::uint64_t> ngrams, std::span<float> sketch) {
  std::ranges::fill(sketch, 0.0F);
  for (const std::uint64_t gram : ngrams) {
    // The upper half scaled to the dimension, the lowest bit for the sign.
    const std::uint64_t place = ((gram >> 32U) * sketch.size()) >> 32U;
    sketch[place] += (gram & 1U) != 0 ? 1.0F : -1.0F;
  }
  double squares = 0.0;
  for (const float value : sketch) squares += static_cast<double>(value) * value;
  if (squares == 0.0) return;
  const auto scale = static_cast<float>(1.0 / std::sqrt(squares));
  for (float& value : sketch) value *= scale;
}

}  // namespace nativo::dedup
