// Each matcher looks at one run of characters only, so that a word is judged the same in any
// sentence.
#include "text/span_words.h"

#include <algorithm>
#include <array>

#include "text/span_chars.h"
#include "text/span_markup.h"

namespace nativo::text {
namespace {

constexpr std::size_t kNone = kNoSpan;
constexpr std::size_t kLongest = 2048;

/// Letters of other alphabets: lead bytes C3..DF (without the multiplication and division signs,
/// which prose uses between numbers) and what follows them.
bool is_foreign(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0U;
  };
  const auto lead = [&](std::size_t k) {
    return byte(k) >= 0xC3 && byte(k) <= 0xDF &&
           !(byte(k) == 0xC3 && (byte(k + 1) == 0x97 || byte(k + 1) == 0xB7));
  };
  return lead(i) || (byte(i) >= 0x80 && byte(i) < 0xC0 && i > 0 && lead(i - 1));
}
bool is_word(std::string_view text, std::size_t i) {
  return i < text.size() && (is_plain(text[i]) || is_foreign(text, i));
}
char at(std::string_view text, std::size_t i) { return char_at(text, i); }

/// The length of "https://", "mailto:", "www.", .. at the start of `rest`, or 0.
std::size_t scheme(std::string_view rest) {
  if (rest.starts_with("www.")) return 4;
  if (rest.starts_with("mailto:")) return 7;
  std::size_t k = 0;
  while (k < 16 &&
         (is_alpha(at(rest, k)) ||
          (k > 0 && (is_digit(at(rest, k)) || is_one_of(at(rest, k), "+.-")))) &&
         k < rest.size()) {
    ++k;
  }
  return k > 1 && rest.substr(k).starts_with("://") ? k + 3 : 0;
}

std::size_t url(std::string_view text, std::size_t i) {
  const std::string_view rest = text.substr(i, kLongest);
  const std::size_t start = scheme(rest);
  if (start == 0) return kNone;
  std::size_t length = 0;
  int depth = 0;
  while (length < rest.size()) {
    const char c = rest[length];
    if (static_cast<unsigned char>(c) <= ' ' || std::string_view("<>\"`|^{}\\").find(c) != kNone) {
      break;
    }
    if (c == '(') ++depth;
    if (c == ')' && --depth < 0) break;
    ++length;
  }
  while (length > 0 && std::string_view(".,;:!?'*_]").find(rest[length - 1]) != kNone) --length;
  return length > start ? i + length : kNone;
}

std::size_t email(std::string_view text, std::size_t i) {
  std::size_t k = i;
  const std::size_t limit = std::min(text.size(), i + 128);
  while (k < limit && (is_plain(text[k]) || text[k] == '.' || text[k] == '+' || text[k] == '-'))
    ++k;
  if (k == i || at(text, k) != '@') return kNone;
  std::size_t last = ++k;
  bool dot = false;
  while (k < text.size() && k < i + 256) {
    if (is_plain(text[k])) {
      last = ++k;
    } else if ((text[k] == '.' || text[k] == '-') && k + 1 < text.size() && is_plain(text[k + 1])) {
      dot = dot || text[k] == '.';
      ++k;
    } else {
      break;
    }
  }
  return dot ? last : kNone;
}

/// Digits with inner separators, and a percent sign: "1,000.50", "10:30", "2/3", "2024-01-15",
/// "25%".
std::size_t number(std::string_view text, std::size_t i) {
  std::size_t k = i;
  if (at(text, k) == '-' || at(text, k) == '.') ++k;
  if (!is_digit(at(text, k))) return kNone;
  while (k < text.size()) {
    if (is_digit(text[k])) {
      ++k;
    } else if (std::string_view(".,:/-").find(text[k]) != kNone && is_digit(at(text, k + 1))) {
      k += 2;
    } else {
      break;
    }
  }
  if (is_word(text, k)) {  // "2nd", "5kg": the digits; "3D": the whole word, see match_word
    constexpr std::array<std::string_view, 4> kOrdinals = {"st", "nd", "rd", "th"};
    const bool ordinal = std::any_of(kOrdinals.begin(), kOrdinals.end(), [&](std::string_view s) {
      return text.substr(k).starts_with(s) && !is_word(text, k + 2);
    });
    return ordinal || match_unit(text, k).end > k ? k : kNone;
  }
  if (at(text, k) == '%' && !is_word(text, k + 1)) ++k;
  return k;
}

/// "C:\\Users\\anna"
std::size_t windows_path(std::string_view text, std::size_t i) {
  if (!is_alpha(at(text, i)) || at(text, i + 1) != ':' || at(text, i + 2) != '\\') return kNone;
  std::size_t k = i + 3;
  while (k < text.size() && k < i + 300 && !is_space(text[k]) &&
         !is_one_of(text[k], "\"<>|?*,;()")) {
    ++k;
  }
  while (is_one_of(text[k - 1], ".!:'")) --k;
  return k > i + 3 ? k : kNone;
}

/// "-v", "--output-file", "--depth=3"
std::size_t command_option(std::string_view text, std::size_t i) {
  if (at(text, i) != '-') return kNone;
  if (is_alpha(at(text, i + 1))) {
    return is_word(text, i + 2) || at(text, i + 2) == '-' || at(text, i + 2) == '\'' ? kNone
                                                                                     : i + 2;
  }
  if (at(text, i + 1) != '-' || !is_alpha(at(text, i + 2))) return kNone;
  std::size_t k = i + 2;
  while (is_plain(at(text, k)) || (at(text, k) == '-' && is_plain(at(text, k + 1)))) ++k;
  if (at(text, k) == '=' && is_plain(at(text, k + 1))) {
    while (k < text.size() && (is_plain(text[k]) || is_one_of(text[k], "=./-:")) && k < i + 200)
      ++k;
    while (is_one_of(text[k - 1], ".:")) --k;
  }
  return k;
}

std::size_t path(std::string_view text, std::size_t i) {
  if (const std::size_t end = windows_path(text, i); end != kNone) return end;
  std::size_t k = i;
  int slashes = 0;
  bool extension = false;
  const std::size_t limit = std::min(text.size(), i + 512);
  if (at(text, k) == '~' || at(text, k) == '.') ++k;
  if (at(text, k) == '.' && k == i + 1) ++k;
  while (k < limit) {
    if (is_plain(text[k])) {
      ++k;
    } else if (text[k] == '/') {
      ++slashes;
      extension = false;
      ++k;
    } else if ((text[k] == '.' || text[k] == '-') && is_plain(at(text, k + 1))) {
      extension = text[k] == '.' && is_lower(text[k + 1]);
      ++k;
    } else {
      break;
    }
  }
  if (is_word(text, k)) return kNone;
  if (slashes > 0 && at(text, k) == '?' && is_plain(at(text, k + 1))) {  // /user?id=42&name=x
    std::size_t query = k + 1;
    while (query < limit && (is_plain(at(text, query)) || is_one_of(at(text, query), "=&%+-."))) {
      ++query;
    }
    if (text.substr(k, query - k).find('=') != kNone && !is_word(text, query)) k = query;
  }
  const char first = text[i];
  if (first == '/' || first == '~' || first == '.') {
    return slashes > 0 && k > i + 2 && is_alpha(text[k - 1] == '/' ? text[k - 2] : text[k - 1])
               ? k
               : kNone;
  }
  return (slashes >= 1 && extension) || slashes >= 3 ? k : kNone;
}

/// "Sig.ra", "Dott.ssa", "D.Lgs.": a word of Italian, not a name of a program.
bool is_title_ending(std::string_view text, std::size_t i) {
  constexpr std::array<std::string_view, 8> kEndings = {"ra", "na",  "ssa", "ri",
                                                        "re", "lgs", "tto", "ma"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) {
    return text.substr(i).starts_with(ending) && !is_word(text, i + ending.size());
  });
}

/// "response.ok", "notes.txt", "np.array(x)"; "e.g", "U.S", "end.Next" are prose.
std::size_t dotted(std::string_view text, std::size_t i) {
  std::size_t k = i;
  std::size_t part = i;
  bool dots = false;
  bool good = true;
  while (k < text.size() && k < i + 256) {
    if (is_plain(text[k])) {
      ++k;
    } else if (text[k] == '.' && is_alpha(at(text, k + 1))) {
      good = good && k - part >= 2 && !is_title_ending(text, k + 1);
      good = good && !(is_upper(text[k + 1]) && is_lower(at(text, k + 2)) && is_lower(text[k - 1]));
      part = ++k;
      dots = true;
    } else {
      break;
    }
  }
  good = good && k - part >= 2;
  return dots && good && !is_word(text, k) ? k : kNone;
}

bool looks_like_identifier(std::string_view word) {
  if (word.find('_') != kNone) return true;
  for (std::size_t k = 1; k < word.size(); ++k) {
    if (is_lower(word[k - 1]) && is_upper(word[k])) return true;
  }
  return false;
}

/// End of "<...>" directly behind a name: List<int>, map<string, vector<int>>; line<br> has a tag.
std::size_t type_arguments(std::string_view text, std::size_t k) {
  if (at(text, k) != '<' || !is_alpha(at(text, k + 1))) return kNone;
  const std::string_view window = text.substr(k + 1, 100);
  const std::string_view name = window.substr(0, window.find('>'));
  if (std::ranges::all_of(name, is_plain) && is_lower(name[0]) && is_element(name)) return kNone;
  int depth = 0;
  for (const std::size_t limit = std::min(text.size(), k + 100); k < limit; ++k) {
    const char c = text[k];
    if (c == '<') ++depth;
    if (c == '>' && --depth == 0) return is_word(text, k + 1) ? kNone : k + 1;
    const bool gap = c == ' ' && text[k - 1] == ',';
    if (!gap && !is_plain(c) && !is_one_of(c, "<>,:*&?.[]")) return kNone;
  }
  return kNone;
}

/// End of "(...)" directly behind a name; "file(s)", "nodo(i)" are prose.
std::size_t call(std::string_view text, std::size_t k) {
  if (at(text, k) != '(') return kNone;
  const std::size_t close = text.substr(0, k + 120).find_first_of("()\n", k + 1);
  if (close == kNone || text[close] != ')') return kNone;
  const std::string_view inside = text.substr(k + 1, close - k - 1);
  for (const std::string_view plural : {"s", "es", "ren", "i", "e", "o", "a", "hi", "he", "ni"}) {
    if (inside == plural) return kNone;
  }
  return close + 1;
}

}  // namespace

UnitRange match_unit(std::string_view text, std::size_t i) {
  constexpr auto kUnits = std::to_array<std::string_view>(
      {"km/h", "m/s²", "m/s",  "km²",  "m²",   "m³",  "cm²", "cm³",  "kg/m³", "km",  "cm",  "mm",
       "nm",   "µm",   "μm",   "kg",   "mg",   "µg",  "μg",  "ml",   "mL",    "dl",  "kHz", "MHz",
       "GHz",  "Hz",   "kB",   "KB",   "MB",   "GB",  "TB",  "PB",   "KiB",   "MiB", "GiB", "TiB",
       "kW",   "MW",   "GW",   "kWh",  "MWh",  "kV",  "mV",  "mA",   "mAh",   "dB",  "dBm", "hPa",
       "kPa",  "MPa",  "kJ",   "MJ",   "kcal", "mol", "ms",  "ns",   "µs",    "μs",  "px",  "dpi",
       "fps",  "kbps", "Mbps", "Gbps", "°C",   "°F",  "kN",  "MB/s", "GB/s"});
  std::size_t begin = i;
  for (const std::string_view blank : {" ", "\xC2\xA0", "\xE2\x80\xAF"}) {
    if (text.substr(i).starts_with(blank)) begin = i + blank.size();
  }
  std::size_t end = begin;
  for (const std::string_view unit : kUnits) {
    const std::size_t after = begin + unit.size();
    if (after > end && text.substr(begin).starts_with(unit) && !is_word(text, after) &&
        at(text, after) != '/' && !(is_one_of(at(text, after), "-'") && is_word(text, after + 1))) {
      end = after;
    }
  }
  return {begin, end};
}

bool word_start(std::string_view text, std::size_t i, bool behind_mark) {
  const char c = text[i];
  if (is_word(text, i)) return behind_mark || i == 0 || !is_word(text, i - 1);
  const bool open = behind_mark || i == 0 || is_one_of(text[i - 1], " \t\n\r(\"'[=,:");
  return open && is_one_of(c, "/~.-#*");
}

std::size_t match_word(std::string_view text, std::size_t i, SpanKind& kind) {
  std::size_t end = kNone;
  const char c = text[i];
  const auto is = [&](SpanKind what, std::size_t at_end) {
    kind = what;
    return at_end;
  };
  if ((end = url(text, i)) != kNone) return is(SpanKind::kUrl, end);
  if ((end = email(text, i)) != kNone) return is(SpanKind::kEmail, end);
  if (is_digit(c) || c == '-' || c == '.') {
    if ((end = number(text, i)) != kNone) return is(SpanKind::kNumber, end);
  }
  if ((end = command_option(text, i)) != kNone) return is(SpanKind::kIdentifier, end);
  if (c == '#' || c == '*') {  // #ff0000, #12, #topic, *.txt
    end = i + (c == '*' ? 2 : 1);
    if (c == '*' && at(text, i + 1) != '.') return kNone;
    if (c == '*' && !is_alpha(at(text, end))) return kNone;
    const std::size_t begin = end;
    while (is_plain(at(text, end))) ++end;
    if (end == begin || is_word(text, end)) return kNone;
    return is(c == '#' ? SpanKind::kIdentifier : SpanKind::kPath, end);
  }
  if ((end = path(text, i)) != kNone) return is(SpanKind::kPath, end);
  if (c == '.' && is_alpha(at(text, i + 1)) && is_alpha(at(text, i + 2))) {  // .NET
    end = i + 1;
    while (is_plain(at(text, end))) ++end;
    return is_word(text, end) ? kNone : is(SpanKind::kIdentifier, end);
  }
  if (!is_word(text, i)) return kNone;
  if ((end = dotted(text, i)) != kNone) {
    const std::size_t called = call(text, end);
    return is(SpanKind::kIdentifier, called == kNone ? end : called);
  }
  end = i;
  bool digits = false;
  bool capital = false;
  while (is_word(text, end)) {
    digits = digits || is_digit(text[end]);
    capital = capital || is_upper(text[end]);
    ++end;
  }
  const std::string_view word = text.substr(i, end - i);
  if (const std::size_t typed = type_arguments(text, end); typed != kNone) {
    const std::size_t called = call(text, typed);
    return is(SpanKind::kIdentifier, called == kNone ? typed : called);
  }
  const std::size_t called = word.size() >= 2 ? call(text, end) : kNone;
  if (called != kNone) return is(SpanKind::kIdentifier, called);
  // C++, g++, C#, F#, R&D, AT&T
  if (word.size() <= 3 && text.substr(end).starts_with("++") && !is_word(text, end + 2)) {
    return is(SpanKind::kIdentifier, end + 2);
  }
  if (word.size() == 1 && is_upper(c) && at(text, end) == '#' && !is_word(text, end + 1)) {
    return is(SpanKind::kIdentifier, end + 1);
  }
  if (word.size() <= 3 && is_upper(word.back()) && at(text, end) == '&' &&
      is_upper(at(text, end + 1)) && !is_lower(at(text, end + 2))) {
    std::size_t behind = end + 1;
    while (is_word(text, behind)) ++behind;
    return is(SpanKind::kIdentifier, behind);
  }
  // GPT-4, COVID-19, UTF-8, Python3.10, v1.2.3
  std::size_t versioned = end;
  while ((at(text, versioned) == '-' ? capital : digits && at(text, versioned) == '.') &&
         is_digit(at(text, versioned + 1)) && versioned < i + 64) {
    ++versioned;
    while (is_word(text, versioned)) ++versioned;
    digits = true;
  }
  if (digits || looks_like_identifier(word)) return is(SpanKind::kIdentifier, versioned);
  return kNone;
}

std::size_t skip_word(std::string_view text, std::size_t i) {
  std::size_t end = i;
  while (is_word(text, end)) ++end;
  return std::max(end, i + 1);
}

}  // namespace nativo::text
