#include "filter/untranslated.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "text/words.h"

namespace nativo::filter {
namespace {

// Sorted. Words that are also Italian ("a", "in", "come", "no", "so", "me", "do") are left out.
constexpr auto kEnglish = std::to_array<std::string_view>(
    {"about",   "after", "all",   "also",  "an",   "and",   "any",    "are",   "as",    "at",
     "be",      "been",  "both",  "but",   "by",   "can",   "could",  "does",  "each",  "for",
     "from",    "had",   "has",   "have",  "he",   "her",   "his",    "how",   "if",    "into",
     "is",      "it",    "its",   "more",  "most", "my",    "not",    "of",    "on",    "only",
     "or",      "other", "our",   "out",   "over", "she",   "should", "some",  "such",  "than",
     "that",    "the",   "their", "them",  "then", "there", "these",  "they",  "this",  "those",
     "through", "to",    "was",   "we",    "were", "what",  "when",   "where", "which", "while",
     "who",     "will",  "with",  "would", "you",  "your"});
constexpr auto kItalian = std::to_array<std::string_view>(
    {"a",     "ai",  "al",  "alla",   "anche",  "che",    "chi", "con", "da",    "dal",
     "dalla", "dei", "del", "della",  "delle",  "di",     "e",   "gli", "ha",    "ho",
     "i",     "il",  "in",  "la",     "le",     "lo",     "ma",  "nel", "nella", "non",
     "o",     "per", "più", "quando", "questa", "questo", "se",  "si",  "sono",  "sua",
     "sul",   "suo", "un",  "una",    "uno",    "è"});
static_assert(std::ranges::is_sorted(kEnglish) && std::ranges::is_sorted(kItalian));

std::string lower_ascii(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

/// Words of a segment, and whether they are English.
std::size_t english_words(std::span<const text::Word> segment) {
  std::size_t words = 0;
  std::size_t english = 0;
  std::size_t italian = 0;
  for (const text::Word& word : segment) {
    if (!word.alphabetic) continue;
    ++words;
    if (word.text.size() > 8) continue;
    const std::string lower = lower_ascii(word.text);
    english += std::ranges::binary_search(kEnglish, lower) ? 1U : 0U;
    italian += std::ranges::binary_search(kItalian, lower) ? 1U : 0U;
  }
  return words >= 4 && english >= 2 && english > italian ? words : 0;
}

bool ends_segment(const text::Word& word, const text::Word& next) {
  if (word.punctuation && (word.text == "." || word.text == "!" || word.text == "?")) return true;
  const std::string_view between(
      word.text.data() + word.text.size(),
      static_cast<std::size_t>(next.text.data() - word.text.data()) - word.text.size());
  return between.find('\n') != std::string_view::npos;
}

}  // namespace

double english_share(std::string_view prose) {
  const std::vector<text::Word> words = text::split_words(prose);
  const auto all =
      std::ranges::count_if(words, [](const text::Word& word) { return word.alphabetic; });
  if (all == 0) return 0.0;
  std::size_t english = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i + 1 < words.size() && !ends_segment(words[i], words[i + 1])) continue;
    english += english_words(std::span(words).subspan(begin, i + 1 - begin));
    begin = i + 1;
  }
  return static_cast<double>(english) / static_cast<double>(all);
}

}  // namespace nativo::filter
