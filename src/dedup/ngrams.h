// Texts as sets of character n-grams (3, 4 and 5 code points of the folded text), hashed. Cosine of
// two sets A, B: |A n B| / sqrt(|A| |B|). Presence, not counts: a language's frequent n-grams would
// make all its long texts alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nativo::dedup {

/// The distinct n-grams' 64-bit hashes, sorted. `folded`: from text::fold_text.
[[nodiscard]] std::vector<std::uint64_t> ngram_set(std::string_view folded);

/// Exact cosine of two sorted sets; 0 when one is empty.
[[nodiscard]] double set_cosine(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

/// Feature hashing (Weinberger et al., ICML 2009): each n-gram adds +1 or -1 at one of
/// `sketch.size()` places; the result has length 1 (or is zero for an empty set). Overwrites
/// `sketch`. Inner products of sketches estimate the cosine; for similar texts the error is about
/// sqrt((1 - cosine) / sketch.size()).
void make_sketch(std::span<const std::uint64_t> ngrams, std::span<float> sketch);

}  // namespace nativo::dedup
