#include "translate/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "text/language_id.h"
#include "text/normalize.h"
#include "text/protected_spans.h"
#include "text/words.h"
#include "translate/chatter.h"
#include "translate/loops.h"
#include "translate/number_match.h"

namespace nativo::translate {
namespace {

constexpr std::array<std::string_view, kCheckCount> kNames = {
    "empty",         "untranslated", "wrong_language", "length_ratio", "numbers_lost",
    "spans_damaged", "repetition",   "truncation",     "chatter"};

/// Fewer such words are names as often as not ("Sky Shader").
constexpr std::size_t kMinCopiedWords = 4;
/// CLD2 is not to be trusted on less.
constexpr std::int64_t kMinLanguageBytes = 60;

/// A text and what lies outside its protected spans.
struct Side {
  std::string_view text;
  std::vector<text::Span> spans;
  std::string bare;               ///< each span but numbers became a space
  std::vector<text::Word> words;  ///< of `bare`
  std::size_t letters = 0;        ///< characters of the words with a letter

  explicit Side(std::string_view whole) : text(whole), spans(text::find_spans(whole)) {
    std::size_t at = 0;
    for (const text::Span& span : spans) {
      if (span.kind == text::SpanKind::kNumber) continue;
      bare += text.substr(at, span.begin - at);
      bare += ' ';
      at = span.end;
    }
    bare += text.substr(at);
    words = text::split_words(bare);
    for (const text::Word& word : words) letters += word.alphabetic ? word.chars : 0;
  }
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
};

bool begins_small(std::string_view word) {
  return !word.empty() && word.front() >= 'a' && word.front() <= 'z';
}

double untranslated(const Side& source, const Side& result) {
  std::map<std::string_view, std::size_t> there;
  for (const text::Word& word : result.words) ++there[word.text];
  std::size_t wanted = 0;
  std::size_t copied = 0;
  for (const text::Word& word : source.words) {
    if (!word.alphabetic || !begins_small(word.text)) continue;
    ++wanted;
    const auto found = there.find(word.text);
    if (found == there.end() || found->second == 0) continue;
    --found->second;
    ++copied;
  }
  if (wanted < kMinCopiedWords) return 0.0;
  return static_cast<double>(copied) / static_cast<double>(wanted);
}

std::size_t count_stop_words(const Side& side, std::string_view lang) {
  const std::span<const std::string_view> stop = text::stop_words(lang);
  return static_cast<std::size_t>(std::ranges::count_if(side.words, [&](const text::Word& word) {
    return std::ranges::find(stop, word.text) != stop.end();
  }));
}

/// CLD2 is sometimes sure and wrong about text full of names and terms; the small words that only
/// the target language has tell better.
bool has_small_words_of(const Side& result, std::string_view to, std::string_view from) {
  const std::size_t wanted = count_stop_words(result, to);
  return wanted > 0 && wanted * 8 >= result.words.size() &&
         wanted >= 3 * count_stop_words(result, from);
}

double wrong_language(const Side& result, std::string_view from, std::string_view to) {
  const text::LanguageGuess guess = text::identify_prose(result.bare);
  if (!guess.reliable || guess.bytes < kMinLanguageBytes || guess.lang.empty()) {
    const bool only_theirs =
        count_stop_words(result, from) >= 2 && count_stop_words(result, to) == 0;
    return only_theirs && !text::stop_words(to).empty() ? 1.0 : 0.0;
  }
  if (guess.lang == to) return 1.0 - guess.score;
  if (has_small_words_of(result, to, from)) return 0.0;
  return guess.second == to ? 1.0 - guess.second_score : 1.0;
}

double length_deviation(const Side& source, const Side& result, const LengthModel& model) {
  if (source.letters == 0) return 0.0;
  const auto n = static_cast<double>(source.letters);
  const double spread = std::sqrt(model.per_letter * n + model.per_text * n * model.per_text * n);
  return std::abs(static_cast<double>(result.letters) - model.mean * n) / spread;
}

/// Whether no translator may change the span: what looks like an identifier or a path can be a word
/// ("15th", "file(s)", "and/or") that has a form of its own in each language.
bool is_strict(text::SpanKind kind, std::string_view bytes) {
  using Kind = text::SpanKind;
  switch (kind) {
    case Kind::kFrontMatter:
    case Kind::kFencedCode:
    case Kind::kCodeLines:
    case Kind::kInlineCode:
    case Kind::kMath:
    case Kind::kUrl:
    case Kind::kEmail:
    case Kind::kPlaceholder:
    case Kind::kMessageFormat:
    case Kind::kTag:
    case Kind::kLiteral:
    case Kind::kTerm:
      return true;
    case Kind::kIdentifier:
      return bytes.find('_') != bytes.npos;
    case Kind::kPath:
      return bytes.starts_with('/') || bytes.starts_with('.') || bytes.starts_with('~');
    default:
      return false;
  }
}

double damaged_spans(const Side& source, const Side& result) {
  std::map<std::string_view, std::int64_t> balance;
  const auto count = [&balance](const Side& side, std::int64_t sign) {
    for (const text::Span& span : side.spans) {
      const std::string_view bytes = side.text.substr(span.begin, span.end - span.begin);
      if (is_strict(span.kind, bytes)) balance[bytes] += sign;
    }
  };
  count(source, 1);
  count(result, -1);
  std::int64_t damaged = 0;
  for (const auto& [bytes, difference] : balance) damaged += std::abs(difference);
  return static_cast<double>(damaged);
}

double loop_characters(const Side& source, const Side& result) {
  const std::size_t loop = longest_loop(result.text);
  if (loop == 0) return 0.0;
  const std::size_t before = longest_loop(source.text);
  return loop > before ? static_cast<double>(loop - before) : 0.0;
}

std::size_t count_of(std::string_view text, std::string_view mark) {
  std::size_t count = 0;
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + mark.size())) {
    ++count;
  }
  return count;
}

/// A sentence's end, with what may stand behind it.
bool has_end(std::string_view text) {
  std::string_view rest = trim(text);
  for (bool more = true; more && !rest.empty();) {
    more = false;
    for (const std::string_view closer :
         {"\"", "'", ")", "]", "}", "*", "_", "\u201D", "\u2019", "»", "`", " ", ">"}) {
      if (!rest.ends_with(closer)) continue;
      rest.remove_suffix(closer.size());
      more = true;
    }
  }
  for (const std::string_view end : {".", "!", "?", "\u2026", "\u3002", ":", ";"}) {
    if (rest.ends_with(end)) return true;
  }
  return false;
}

/// Signs that the end is missing: the source is closed where the result is not.
double truncation(const Side& source, const Side& result, const LengthModel& model) {
  if (result.letters == 0) return 0.0;
  std::size_t signs = 0;
  const bool shorter =
      static_cast<double>(result.letters) < 0.8 * model.mean * static_cast<double>(source.letters);
  if (has_end(source.text) && !has_end(result.text) && shorter) ++signs;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPairs = {
      {{"(", ")"}, {"[", "]"}, {"{", "}"}, {"\u201C", "\u201D"}}};
  for (const auto& [open, close] : kPairs) {
    if (count_of(source.bare, open) == count_of(source.bare, close) &&
        count_of(result.bare, open) > count_of(result.bare, close)) {
      ++signs;
    }
  }
  if (count_of(source.bare, "\"") % 2 == 0 && count_of(result.bare, "\"") % 2 == 1) ++signs;
  return static_cast<double>(signs);
}

double value_of(Check check, const Side& source, const Side& result, const LengthModel& model,
                std::string_view from, std::string_view to) {
  switch (check) {
    case Check::kEmpty:
      return source.letters > 0 && result.letters == 0 ? 1.0 : 0.0;
    case Check::kUntranslated:
      return untranslated(source, result);
    case Check::kWrongLanguage:
      return wrong_language(result, from, to);
    case Check::kLengthRatio:
      return length_deviation(source, result, model);
    case Check::kNumbersLost:
      return static_cast<double>(count_lost_numbers(source.bare, result.text, to));
    case Check::kSpansDamaged:
      return damaged_spans(source, result);
    case Check::kRepetition:
      return loop_characters(source, result);
    case Check::kTruncation:
      return truncation(source, result, model);
    case Check::kChatter:
      return static_cast<double>(count_chatter(source.text, result.text));
  }
  return 0.0;
}

std::array<double, kCheckCount> limits_of(const CheckOptions& options) {
  return {0.0,
          options.untranslated,
          options.wrong_language,
          options.length_ratio,
          options.numbers_lost,
          options.spans_damaged,
          options.repetition,
          options.truncation,
          options.chatter};
}

}  // namespace

std::string_view check_name(Check check) { return kNames[static_cast<std::size_t>(check)]; }

void CheckOptions::visit(config::Visitor& v) {
  v.value({.name = "off",
           .help = "checks that are not made: empty, untranslated, wrong_language, length_ratio, "
                   "numbers_lost, spans_damaged, repetition, truncation, chatter"},
          off);
  v.value({.name = "untranslated",
           .help = "fails when a greater share of the source's uncapitalised words stays as it was",
           .min = 0,
           .max = 1},
          untranslated);
  v.value({.name = "wrong_language",
           .help = "fails when a greater share of the letters is in another language",
           .min = 0,
           .max = 1},
          wrong_language);
  v.value({.name = "length_ratio",
           .help = "fails when the length is more standard deviations from the expected one",
           .min = 0,
           .max = 1000},
          length_ratio);
  v.value(
      {.name = "numbers_lost", .help = "fails when more numbers are lost", .min = 0, .max = 1e9},
      numbers_lost);
  v.value({.name = "spans_damaged",
           .help = "fails when more protected spans are lost or added",
           .min = 0,
           .max = 1e9},
          spans_damaged);
  v.value({.name = "repetition",
           .help = "fails when a loop goes on for more characters",
           .min = 0,
           .max = 1e9},
          repetition);
  v.value({.name = "truncation",
           .help = "fails when more signs say that the end is missing",
           .min = 0,
           .max = 10},
          truncation);
  v.value({.name = "chatter",
           .help = "fails when more phrases talk about the text, or refuse, instead",
           .min = 0,
           .max = 100},
          chatter);
}

LengthModel length_model(std::string_view from, std::string_view to) {
  // Letters outside protected spans, on human translations (docs/translation-quality.md).
  if (from == "en" && to == "it") return {.mean = 1.13, .per_letter = 2.5, .per_text = 0.1};
  if (from == "it" && to == "en") return {.mean = 0.885, .per_letter = 2.5, .per_text = 0.1};
  return {.mean = 1.0, .per_letter = 6.8, .per_text = 0.25};
}

TranslationChecks::TranslationChecks(const CheckOptions& options, std::string from, std::string to)
    : options_(options),
      from_(std::move(from)),
      to_(std::move(to)),
      length_(length_model(from_, to_)) {
  on_.fill(true);
  for (const std::string& name : options_.off) {
    const auto found = std::ranges::find(kNames, name);
    if (found == kNames.end()) {
      throw Error(ExitCode::kConfig,
                  fmt::format("[translate.check] off: there is no check \"{}\"", printable(name)),
                  fmt::format("the checks are {}", fmt::join(kNames, ", ")));
    }
    on_[static_cast<std::size_t>(found - kNames.begin())] = false;
  }
}

std::vector<Measurement> TranslationChecks::measure(std::string_view source,
                                                    std::string_view translation) const {
  const Side original(source);
  const Side result(translation);
  const std::array<double, kCheckCount> limits = limits_of(options_);
  std::vector<Measurement> all;
  for (std::size_t c = 0; c < kCheckCount; ++c) {
    if (!on_[c]) continue;
    const auto check = static_cast<Check>(c);
    all.push_back({check, value_of(check, original, result, length_, from_, to_), limits[c]});
  }
  return all;
}

std::size_t count_letters(std::string_view text) { return Side(text).letters; }

}  // namespace nativo::translate
