#include "text/number_style.h"

#include <algorithm>
#include <array>

#include "text/span_chars.h"

namespace nativo::text {
namespace {

/// The last word of `before`, when nothing but blanks lies behind it.
std::string_view word_before(std::string_view before, bool& begins_sentence) {
  std::size_t end = before.size();
  while (end > 0 && (before[end - 1] == ' ' || before[end - 1] == '\t')) --end;
  if (end > 0 && before[end - 1] == '.') --end;  // "sec. 2.1"
  std::size_t begin = end;
  while (begin > 0 && is_word_byte(before[begin - 1])) --begin;
  std::size_t k = begin;
  while (k > 0 && is_one_of(before[k - 1], " \t\"'(*-#>")) --k;
  begins_sentence = k == 0 || is_one_of(before[k - 1], ".!?:");
  return before.substr(begin, end - begin);
}

/// "section 2.1", "version 3.5", "Python 3.10", "USB 3.0": a label, no quantity.
bool is_label(std::string_view before) {
  bool begins_sentence = false;
  const std::string_view word = word_before(before, begins_sentence);
  if (word.empty()) return false;
  std::string lower(word);
  for (char& c : lower) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  constexpr auto kLabels = std::to_array<std::string_view>(
      {"android",    "angular", "appendix", "article",  "bluetooth", "build",    "ch",
       "chapter",    "clause",  "cuda",     "django",   "eq",        "equation", "example",
       "exercise",   "fig",     "figure",   "firefox",  "gpt",       "http",     "ios",
       "issue",      "java",    "kernel",   "lesson",   "level",     "linux",    "macos",
       "no",         "node",    "note",     "number",   "paragraph", "part",     "php",
       "postgresql", "problem", "python",   "question", "release",   "revision", "rule",
       "ruby",       "rust",    "sec",      "section",  "sect",      "step",     "table",
       "task",       "tls",     "ubuntu",   "unit",     "usb",       "v",        "ver",
       "version",    "volume",  "windows"});
  if (std::ranges::find(kLabels, lower) != kLabels.end()) return true;
  return is_upper(word[0]) && !begins_sentence && word.size() > 1;
}

/// One number without range or sign: "1,234.56", "3.5", "1,000"; "" when it is something else.
std::string decimal(std::string_view number) {
  const std::size_t point = number.find('.');
  if (point != kNoSpan && number.find('.', point + 1) != kNoSpan) return {};
  const std::string_view whole = number.substr(0, std::min(point, number.size()));
  const std::string_view fraction = point == kNoSpan ? "" : number.substr(point + 1);
  if (fraction.find(',') != kNoSpan) return {};
  std::string out;
  if (whole.find(',') != kNoSpan) {  // groups of three
    std::size_t group = 0;
    for (std::size_t i = 0; i <= whole.size(); ++i) {
      if (i < whole.size() && whole[i] != ',') {
        ++group;
        continue;
      }
      const bool first = out.empty() || out.find('.') == std::string::npos;
      if (i < whole.size() ? (first ? group < 1 || group > 3 : group != 3) : group != 3) return {};
      out += whole.substr(i - group, group);
      if (i < whole.size()) out += '.';
      group = 0;
    }
    if (out[0] == '0') return {};
  } else {
    out = whole.empty() ? "0" : std::string(whole);
  }
  if (point != kNoSpan) {
    out += ',';
    out += fraction;
  }
  return out;
}

int value_of(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

/// Month, day and year with '/' between them, the first two exchanged; "" when it is none.
std::string european_date(std::string_view date) {
  const std::size_t first = date.find('/');
  const std::size_t second = first == kNoSpan ? kNoSpan : date.find('/', first + 1);
  if (second == kNoSpan || first == 0 || first > 2 || second - first < 2 || second - first > 3 ||
      date.size() - second != 5) {
    return {};
  }
  if (date.find_first_not_of("0123456789/") != kNoSpan || date.find('/', second + 1) != kNoSpan) {
    return {};
  }
  const std::string_view month = date.substr(0, first);
  const std::string_view day = date.substr(first + 1, second - first - 1);
  if (value_of(month) < 1 || value_of(month) > 12 || value_of(day) < 1 || value_of(day) > 31) {
    return {};
  }
  return std::string(day) + "/" + std::string(month) + std::string(date.substr(second));
}

}  // namespace

std::string localize_number(std::string_view bytes, std::string_view before,
                            const NumberStyle& style) {
  const std::string same(bytes);
  if (style.us_dates) {
    if (std::string date = european_date(bytes); !date.empty()) return date;
  }
  if (!style.decimal_comma || bytes.find_first_of(":/") != kNoSpan) return same;
  if (bytes.find_first_of(".,") == kNoSpan) return same;
  const bool percent = bytes.ends_with('%');
  const std::string_view number = percent ? bytes.substr(0, bytes.size() - 1) : bytes;
  std::string out;
  bool comma = false;                                     // thousands are no labels
  for (std::size_t begin = 0; begin <= number.size();) {  // "1.5-2.5", "-3.5"
    const std::size_t dash = number.find('-', begin);
    const std::string_view one = number.substr(begin, dash == kNoSpan ? kNoSpan : dash - begin);
    if (!one.empty()) {
      const std::string made = decimal(one);
      if (made.empty()) return same;
      comma = comma || one.find(',') != kNoSpan;
      out += made;
    } else if (dash == kNoSpan) {
      return same;
    }
    if (dash == kNoSpan) break;
    out += '-';
    begin = dash + 1;
  }
  if (!comma && !percent && is_label(before)) return same;
  return percent ? out + "%" : out;
}

}  // namespace nativo::text
