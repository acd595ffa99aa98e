#include "translate/number_match.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/normalize.h"
#include "text/words.h"

namespace nativo::translate {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Bytes of a mark between the digits of one number at `at`, or 0. Spaces and apostrophes only
/// group.
std::size_t mark_at(std::string_view text, std::size_t at, bool& groups) {
  const std::string_view rest = text.substr(at);
  groups = true;
  for (const std::string_view space : {"\u00A0", "\u202F", "\u2009", "\u2019"}) {
    if (rest.starts_with(space)) return space.size();
  }
  if (rest.starts_with(' ') || rest.starts_with('\'')) return 1;
  groups = false;
  return rest.starts_with('.') || rest.starts_with(',') ? 1 : 0;
}

std::string without_leading_zeros(std::string digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

/// A number's digits without marks, and the runs between them.
struct Number {
  std::string digits;
  std::vector<std::string> parts;
};

std::vector<Number> numbers_of(std::string_view text) {
  std::vector<Number> all;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    Number number;
    for (;;) {
      std::size_t end = at;
      while (end < text.size() && is_digit(text[end])) ++end;
      number.digits += text.substr(at, end - at);
      number.parts.push_back(without_leading_zeros(std::string(text.substr(at, end - at))));
      at = end;
      bool groups = false;
      const std::size_t mark = at < text.size() ? mark_at(text, at, groups) : 0;
      std::size_t run = 0;
      while (mark > 0 && at + mark + run < text.size() && is_digit(text[at + mark + run])) ++run;
      if (run == 0 || (groups && (run != 3 || number.parts.back().size() > 3))) break;
      at += mark;
    }
    number.digits = without_leading_zeros(std::move(number.digits));
    all.push_back(std::move(number));
  }
  return all;
}

constexpr auto kWords = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"0", "zero"},        {"1", "un"},           {"1", "uno"},           {"1", "una"},
    {"1", "un'"},         {"1", "primo"},        {"1", "prima"},         {"2", "due"},
    {"2", "secondo"},     {"2", "seconda"},      {"3", "tre"},           {"3", "terzo"},
    {"3", "terza"},       {"4", "quattro"},      {"4", "quarto"},        {"4", "quarta"},
    {"5", "cinque"},      {"5", "quinto"},       {"5", "quinta"},        {"6", "sei"},
    {"6", "sesto"},       {"7", "sette"},        {"8", "otto"},          {"9", "nove"},
    {"10", "dieci"},      {"11", "undici"},      {"12", "dodici"},       {"12", "mezzogiorno"},
    {"12", "mezzanotte"}, {"13", "tredici"},     {"14", "quattordici"},  {"15", "quindici"},
    {"16", "sedici"},     {"17", "diciassette"}, {"18", "diciotto"},     {"19", "diciannove"},
    {"20", "venti"},      {"30", "trenta"},      {"40", "quaranta"},     {"50", "cinquanta"},
    {"60", "sessanta"},   {"70", "settanta"},    {"80", "ottanta"},      {"90", "novanta"},
    {"100", "cento"},     {"1000", "mille"},     {"1000000", "milione"}, {"0", "zero"},
    {"1", "one"},         {"1", "first"},        {"2", "two"},           {"2", "second"},
    {"3", "three"},       {"3", "third"},        {"4", "four"},          {"5", "five"},
    {"6", "six"},         {"7", "seven"},        {"8", "eight"},         {"9", "nine"},
    {"10", "ten"},        {"11", "eleven"},      {"12", "twelve"},       {"12", "noon"},
    {"12", "midnight"},   {"13", "thirteen"},    {"14", "fourteen"},     {"15", "fifteen"},
    {"16", "sixteen"},    {"17", "seventeen"},   {"18", "eighteen"},     {"19", "nineteen"},
    {"20", "twenty"},     {"30", "thirty"},      {"40", "forty"},        {"50", "fifty"},
    {"60", "sixty"},      {"70", "seventy"},     {"80", "eighty"},       {"90", "ninety"},
    {"100", "hundred"},   {"1000", "thousand"},  {"1000000", "million"},
});

/// Ordinals, without their last letter.
constexpr auto kOrdinals = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"7", "settim"},         {"8", "ottav"},           {"9", "non"},
    {"10", "decim"},         {"11", "undicesim"},      {"12", "dodicesim"},
    {"13", "tredicesim"},    {"14", "quattordicesim"}, {"15", "quindicesim"},
    {"16", "sedicesim"},     {"17", "diciassettesim"}, {"18", "diciottesim"},
    {"19", "diciannovesim"}, {"20", "ventesim"},       {"21", "ventunesim"},
    {"30", "trentesim"},     {"40", "quarantesim"},    {"50", "cinquantesim"},
    {"100", "centesim"},     {"1000", "millesim"},
});

/// The value of Roman numerals up to thirty-nine, as centuries and monarchs have them; 0 for
/// others.
int roman_value(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, int>, 5> kSigns = {
      {{"X", 10}, {"IX", 9}, {"V", 5}, {"IV", 4}, {"I", 1}}};
  int value = 0;
  std::string_view rest = word;
  for (const auto& [sign, worth] : kSigns) {
    for (int times = 0; rest.starts_with(sign) && times < 3; ++times) {
      rest.remove_prefix(sign.size());
      value += worth;
    }
  }
  return rest.empty() && word != "I" ? value : 0;  // "I gatti" has an article
}

/// What answers for a number, and how often it may.
using Supply = std::map<std::string, int, std::less<>>;

Supply number_words(std::string_view translation, std::string_view to) {
  Supply words;
  for (const text::Word& word : text::split_words(translation)) {
    if (const int value = roman_value(word.text); value > 0) ++words[std::to_string(value)];
  }
  if (to != "it" && to != "en") return words;
  const std::string folded = text::fold_case(translation);
  for (const text::Word& word : text::split_words(folded)) {
    for (const auto& [digits, name] : kWords) {
      if (word.text == name) ++words[std::string(digits)];
    }
    for (const auto& [digits, stem] : kOrdinals) {
      if (word.text.size() == stem.size() + 1 && word.text.starts_with(stem)) {
        ++words[std::string(digits)];
      }
    }
  }
  return words;
}

bool take(Supply& supply, const std::string& number) {
  const auto found = supply.find(number);
  if (found == supply.end() || found->second == 0) return false;
  --found->second;
  return true;
}

std::optional<std::uint64_t> value_of(const std::string& digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

/// Other ways to write a whole number: '80, 80 and 1980; 3 and 15 o'clock.
bool take_other_form(Supply& supply, const std::string& digits) {
  const auto value = value_of(digits);
  if (!value) return false;
  if (*value >= 1800 && *value < 2100 && take(supply, std::to_string(*value % 100))) return true;
  if (*value >= 1 && *value <= 12 && take(supply, std::to_string((*value + 12) % 24))) return true;
  return *value >= 13 && *value <= 23 && take(supply, std::to_string(*value - 12));
}

bool take_parts(Supply& supply, const std::vector<std::string>& parts) {
  if (parts.size() < 2) return false;
  Supply trial = supply;
  for (const std::string& part : parts) {
    if (!take(trial, part)) return false;
  }
  supply = std::move(trial);
  return true;
}

}  // namespace

std::size_t count_lost_numbers(std::string_view source, std::string_view translation,
                               std::string_view to) {
  const std::vector<Number> wanted = numbers_of(source);
  if (wanted.empty()) return 0;
  Supply whole;
  Supply parts;
  for (const Number& number : numbers_of(translation)) {
    ++whole[number.digits];
    if (number.parts.size() < 2) continue;
    for (const std::string& part : number.parts) ++parts[part];
  }
  std::vector<const Number*> open;
  for (const Number& number : wanted) {
    if (!take(whole, number.digits)) open.push_back(&number);
  }
  if (open.empty()) return 0;
  Supply words = number_words(translation, to);
  std::size_t lost = 0;
  for (const Number* number : open) {
    if (number->digits == "0" && number->parts.size() == 1) continue;  // 10:00 is 10
    const bool found = take_parts(whole, number->parts) || take(parts, number->digits) ||
                       take(words, number->digits) || take_other_form(whole, number->digits);
    if (!found) ++lost;
  }
  return lost;
}

}  // namespace nativo::translate
