#include "filter/repetition.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "base/strings.h"

namespace nativo::filter {
namespace {

/// Counts 64-bit hashes; open addressing, sized once.
class HashCounts {
 public:
  explicit HashCounts(std::size_t most)
      : slots_(std::bit_ceil(most * 2 + 2)), mask_(slots_.size() - 1) {}

  /// How often `hash` was counted before; counts it.
  std::uint32_t add(std::uint64_t hash) {
    if (hash == 0) hash = 1;
    std::size_t at = hash & mask_;
    while (slots_[at].hash != 0 && slots_[at].hash != hash) at = (at + 1) & mask_;
    slots_[at].hash = hash;
    return slots_[at].count++;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t count = 0;
  };
  std::vector<Slot> slots_;
  std::size_t mask_;
};

std::uint64_t mix(std::uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 29);
}

std::vector<std::uint64_t> hash_words(std::span<const text::Word> words) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(words.size());
  for (const text::Word& word : words) hashes.push_back(xxh64(word.text));
  return hashes;
}

std::uint64_t ngram_hash(const std::vector<std::uint64_t>& hashes, std::size_t at, std::size_t n) {
  std::uint64_t hash = n;
  for (std::size_t i = 0; i < n; ++i) hash = mix(hash ^ hashes[at + i]) + i;
  return hash;
}

std::size_t ngram_chars(std::span<const text::Word> words, std::size_t at, std::size_t n) {
  std::size_t chars = 0;
  for (std::size_t i = 0; i < n; ++i) chars += words[at + i].chars;
  return chars;
}

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

bool is_running_line(std::string_view line) {
  line = trim(line);
  if (line.starts_with('#')) return false;
  return std::ranges::any_of(line, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

DuplicateLines duplicate_lines(std::string_view prose) {
  const std::vector<std::string_view> lines = split(prose, '\n');
  HashCounts seen(lines.size());
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::size_t repeated = 0;
  std::size_t repeated_bytes = 0;
  for (const std::string_view raw : lines) {
    const std::string_view line = trim(raw);
    if (!is_running_line(line)) continue;
    ++count;
    bytes += line.size();
    if (seen.add(xxh64(line)) == 0) continue;
    ++repeated;
    repeated_bytes += line.size();
  }
  return {.lines = ratio(repeated, count), .characters = ratio(repeated_bytes, bytes)};
}

double top_ngram_share(std::span<const text::Word> words, std::size_t n, std::size_t chars) {
  if (words.size() < n) return 0.0;
  const std::vector<std::uint64_t> hashes = hash_words(words);
  const std::size_t runs = words.size() - n + 1;
  HashCounts counts(runs);
  std::size_t best = 0;
  std::size_t best_count = 2;  // what is said twice is no repetition yet
  for (std::size_t i = 0; i < runs; ++i) {
    const std::size_t count = counts.add(ngram_hash(hashes, i, n)) + 1;
    if (count > best_count) {
      best_count = count;
      best = i;
    }
  }
  if (best_count < 3) return 0.0;
  return ratio((ngram_chars(words, best, n) + n - 1) * best_count, chars);
}

double duplicate_ngram_share(std::span<const text::Word> words, std::size_t n, std::size_t chars) {
  if (words.size() < n) return 0.0;
  const std::vector<std::uint64_t> hashes = hash_words(words);
  HashCounts counts(words.size());
  std::size_t repeated = 0;
  for (std::size_t i = 0; i + n <= words.size();) {
    if (counts.add(ngram_hash(hashes, i, n)) == 0) {
      ++i;
    } else {
      repeated += ngram_chars(words, i, n);
      i += n;
    }
  }
  return ratio(repeated, chars);
}

std::size_t longest_loop(std::span<const text::Word> words) {
  std::size_t longest = 0;
  for (std::size_t period = 1; period <= 4; ++period) {
    std::size_t run = 0;  // words in a row that equal the one a period before
    for (std::size_t i = period; i < words.size(); ++i) {
      const bool same =
          words[i].alphabetic && words[i].chars > 1 && words[i].text == words[i - period].text;
      run = same ? run + 1 : 0;
      if (run >= 2 * period) longest = std::max(longest, run + period);
    }
  }
  return longest;
}

}  // namespace nativo::filter
