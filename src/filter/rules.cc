#include "filter/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "filter/repetition.h"
#include "filter/untranslated.h"
#include "text/normalize.h"

namespace nativo::filter {
namespace {

/// Below so many words a count of stop words or repeated runs says nothing.
constexpr std::size_t kEnoughWords = 30;
/// Bytes of letters from which on CLD2 is believed: when it is sure, and when it gives shares.
constexpr std::int64_t kEnoughLetters = 40;
constexpr std::int64_t kManyLetters = 200;
constexpr std::int64_t kVeryManyLetters = 1000;

using Verdict = std::optional<std::string>;  ///< the value of a broken rule

Verdict at_most(double value, double limit) {
  if (value <= limit) return {};
  return fmt::format("{:.4g} > {:.4g}", value, limit);
}

Verdict at_least(double value, double limit) {
  if (value >= limit) return {};
  return fmt::format("{:.4g} < {:.4g}", value, limit);
}

double ratio(std::size_t part, std::size_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// The greatest value of `measure` over the parts that have enough words.
template <class Measure>
double worst_part(const Subject& s, std::size_t least_words, const Measure& measure) {
  double worst = 0.0;
  for (const Part& part : s.parts) {
    if (part.running_words.size() >= least_words) worst = std::max(worst, measure(part));
  }
  return worst;
}

Verdict other_language(const Subject& s, const FilterOptions& o) {
  if (!o.only_target || s.record->lang == s.target) return {};
  return fmt::format("\"{}\" is not \"{}\"", s.record->lang, s.target);
}

Verdict unbalanced_fence(const Subject& s, const FilterOptions&) {
  for (std::size_t i = 0; i < s.parts.size(); ++i) {
    if (text::fences_closed(s.parts[i].content)) continue;
    if (!s.conversation) return "a code fence is not closed";
    return fmt::format("a code fence is not closed in message {} ({})", i + 1,
                       s.record->messages[i].role);
  }
  return {};
}

/// What translate puts in the place of a protected span while it translates: "Xqabcqz".
bool is_placeholder(std::string_view word) {
  return word.size() == 7 && (word.starts_with("Xq") || word.starts_with("xq")) &&
         word.ends_with("qz");
}

Verdict leftover_placeholder(const Subject& s, const FilterOptions&) {
  if (s.translation == nullptr) return {};
  for (const Part& part : s.parts) {
    for (const text::Word& word : text::split_words(part.content)) {
      if (is_placeholder(word.text)) return std::string(word.text);
    }
  }
  return {};
}

Verdict too_short(const Subject& s, const FilterOptions& o) {
  const std::int64_t limit = s.conversation ? o.min_tokens : o.min_document_tokens;
  return at_least(static_cast<double>(s.tokens), static_cast<double>(limit));
}

Verdict too_long(const Subject& s, const FilterOptions& o) {
  if (o.max_tokens == 0) return {};
  return at_most(static_cast<double>(s.tokens), static_cast<double>(o.max_tokens));
}

double english_in(const Subject& s) {
  double english = 0.0;
  for (const Part& part : s.parts) {
    english += english_share(part.prose) * static_cast<double>(part.words.size());
  }
  return english / static_cast<double>(s.words);
}

/// CLD2 takes short Italian that is full of English names for English, as a whole or in part;
/// function words tell better.
bool is_mistaken(const Subject& s) {
  const text::LanguageGuess& guess = s.language;
  const bool english = guess.lang == "en" || (guess.lang == "it" && guess.second == "en");
  return english && s.record->lang == "it" && guess.bytes < kVeryManyLetters &&
         english_in(s) < 0.25;
}

Verdict language(const Subject& s, const FilterOptions&) {
  const text::LanguageGuess& guess = s.language;
  if (!guess.reliable || guess.bytes < kEnoughLetters || guess.lang == s.record->lang) return {};
  if (is_mistaken(s)) return {};
  return fmt::format("{} {:.2f}, expected {}", guess.lang, guess.score, s.record->lang);
}

Verdict language_score(const Subject& s, const FilterOptions& o) {
  const text::LanguageGuess& guess = s.language;
  if (guess.bytes < kManyLetters || is_mistaken(s)) return {};
  if (guess.lang == s.record->lang) return at_least(guess.score, o.min_language_score);
  return at_least(guess.second == s.record->lang ? guess.second_score : 0.0, o.min_language_score);
}

Verdict untranslated(const Subject& s, const FilterOptions& o) {
  if (s.translation == nullptr || s.record->lang == "en") return {};
  return at_most(worst_part(s, 4, [](const Part& part) { return english_share(part.prose); }),
                 o.max_untranslated);
}

Verdict unknown_words(const Subject& s, const FilterOptions& o) {
  if (s.translation == nullptr) return {};
  const auto found = s.translation->find("unknown_words");
  if (found == s.translation->end() || !found->is_number()) return {};
  return at_most(found->get<double>(), o.max_unknown_words);
}

Verdict loop(const Subject& s, const FilterOptions& o) {
  if (o.max_loop == 0) return {};
  const double longest = worst_part(
      s, 3, [](const Part& part) { return static_cast<double>(longest_loop(part.running_words)); });
  return at_most(longest, static_cast<double>(o.max_loop));
}

bool is_stop_word(std::string_view word, const Subject& s) {
  if (word.size() > 16) return false;
  const std::string lower = text::fold_case(word);
  const auto equals = [&](std::string_view stop) { return stop == lower; };
  if (!s.own_stop_words.empty()) return std::ranges::any_of(s.own_stop_words, equals);
  return std::ranges::any_of(text::stop_words(s.record->lang), equals);
}

Verdict stop_words(const Subject& s, const FilterOptions& o) {
  if (s.words < kEnoughWords) return {};
  if (s.own_stop_words.empty() && text::stop_words(s.record->lang).empty()) return {};
  std::int64_t found = 0;
  for (const Part& part : s.parts) {
    for (const text::Word& word : part.words) {
      if (word.alphabetic && is_stop_word(word.text, s) && ++found >= o.min_stop_words) return {};
    }
  }
  return at_least(static_cast<double>(found), static_cast<double>(o.min_stop_words));
}

template <std::size_t kN>
Verdict top_ngram(const Subject& s, const FilterOptions& o) {
  return at_most(
      worst_part(s, kEnoughWords,
                 [](const Part& p) { return top_ngram_share(p.running_words, kN, p.chars); }),
      o.max_top_ngram[kN - 2]);
}

template <std::size_t kN>
Verdict dup_ngram(const Subject& s, const FilterOptions& o) {
  return at_most(
      worst_part(s, kEnoughWords,
                 [](const Part& p) { return duplicate_ngram_share(p.running_words, kN, p.chars); }),
      o.max_duplicate_ngram[kN - 5]);
}

Verdict lines_repeated(const Subject& s, const FilterOptions& o) {
  return at_most(duplicate_lines(s.parts.front().running).lines, o.max_duplicate_lines);
}

Verdict characters_repeated(const Subject& s, const FilterOptions& o) {
  return at_most(duplicate_lines(s.parts.front().running).characters, o.max_duplicate_characters);
}

Verdict mean_word_length(const Subject& s, const FilterOptions& o) {
  std::size_t chars = 0;
  for (const text::Word& word : s.parts.front().words) chars += word.chars;
  const double mean = ratio(chars, s.words);
  if (Verdict below = at_least(mean, o.min_mean_word_length)) return below;
  return at_most(mean, o.max_mean_word_length);
}

Verdict alphabetic_words(const Subject& s, const FilterOptions& o) {
  const auto letters = static_cast<std::size_t>(std::ranges::count_if(
      s.parts.front().words, [](const text::Word& word) { return word.alphabetic; }));
  return at_least(ratio(letters, s.words), o.min_alphabetic_words);
}

bool ends_sentence(std::string_view line) {
  while (!line.empty() && (line.back() == '*' || line.back() == '_' || line.back() == ')')) {
    line.remove_suffix(1);
  }
  constexpr std::array<std::string_view, 9> kEnds = {".", "!", "?", "…", "\"", "'", "»", "”", "’"};
  return std::ranges::any_of(kEnds, [&](std::string_view end) { return line.ends_with(end); });
}

Verdict line_punctuation(const Subject& s, const FilterOptions& o) {
  std::size_t lines = 0;
  std::size_t ended = 0;
  for (const std::string_view raw : split(s.parts.front().running, '\n')) {
    const std::string_view line = trim(raw);
    if (!is_running_line(line)) continue;
    ++lines;
    ended += ends_sentence(line) ? 1U : 0U;
  }
  if (lines == 0) return {};
  return at_least(ratio(ended, lines), o.min_line_punctuation);
}

Verdict newline_ratio(const Subject& s, const FilterOptions& o) {
  std::size_t lines = 0;
  for (const std::string_view line : split(s.parts.front().running, '\n')) {
    lines += is_running_line(line) ? 1U : 0U;
  }
  if (lines == 0) return {};
  return at_most(ratio(lines - 1, s.parts.front().running_words.size()), o.max_newline_ratio);
}

enum class Asked { kAlways, kWithProse, kDocuments };

struct Rule {
  std::string_view name;
  Asked asked;
  Verdict (*check)(const Subject&, const FilterOptions&);
};

constexpr auto kRules = std::to_array<Rule>({
    {"other_language", Asked::kAlways, other_language},
    {"unbalanced_fence", Asked::kAlways, unbalanced_fence},
    {"leftover_placeholder", Asked::kAlways, leftover_placeholder},
    {"too_short", Asked::kAlways, too_short},
    {"too_long", Asked::kAlways, too_long},
    {"language", Asked::kWithProse, language},
    {"language_score", Asked::kWithProse, language_score},
    {"untranslated", Asked::kWithProse, untranslated},
    {"unknown_words", Asked::kAlways, unknown_words},
    {"loop", Asked::kWithProse, loop},
    {"stop_words", Asked::kWithProse, stop_words},
    {"top_2gram", Asked::kWithProse, top_ngram<2>},
    {"top_3gram", Asked::kWithProse, top_ngram<3>},
    {"top_4gram", Asked::kWithProse, top_ngram<4>},
    {"dup_5gram", Asked::kWithProse, dup_ngram<5>},
    {"dup_6gram", Asked::kWithProse, dup_ngram<6>},
    {"dup_7gram", Asked::kWithProse, dup_ngram<7>},
    {"dup_8gram", Asked::kWithProse, dup_ngram<8>},
    {"dup_9gram", Asked::kWithProse, dup_ngram<9>},
    {"dup_10gram", Asked::kWithProse, dup_ngram<10>},
    {"duplicate_lines", Asked::kDocuments, lines_repeated},
    {"duplicate_characters", Asked::kDocuments, characters_repeated},
    {"mean_word_length", Asked::kDocuments, mean_word_length},
    {"alphabetic_words", Asked::kDocuments, alphabetic_words},
    {"line_punctuation", Asked::kDocuments, line_punctuation},
    {"newline_ratio", Asked::kDocuments, newline_ratio},
});

}  // namespace

std::optional<Rejection> first_broken_rule(const Subject& subject, const FilterOptions& options) {
  for (const Rule& rule : kRules) {
    if (rule.asked != Asked::kAlways && subject.words == 0) continue;
    if (rule.asked == Asked::kDocuments && subject.conversation) continue;
    if (Verdict broken = rule.check(subject, options)) {
      return Rejection{.rule = std::string(rule.name), .value = std::move(*broken)};
    }
  }
  return {};
}

}  // namespace nativo::filter
