// Each matcher looks at one run of characters only, so that a word is judged the same in any
// sentence.
#include "text/span_words.h"

#include <algorithm>
#include <array>

namespace nativo::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;
constexpr std::size_t kLongest = 2048;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alpha(char c) { return is_lower(c) || is_upper(c); }
bool is_plain(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }
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
char at(std::string_view text, std::size_t i) { return i < text.size() ? text[i] : '\0'; }

std::size_t url(std::string_view text, std::size_t i) {
  constexpr std::array<std::string_view, 4> kStarts = {"http://", "https://", "ftp://", "www."};
  const std::string_view rest = text.substr(i, kLongest);
  const bool known = std::any_of(kStarts.begin(), kStarts.end(),
                                 [&](std::string_view start) { return rest.starts_with(start); });
  if (!known) return kNone;
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
  return length > 8 || (rest.starts_with("www.") && length > 4) ? i + length : kNone;
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
  if (is_word(text, k)) {  // "2nd": the digits; "5kg", "3D": the whole word, see word_with_digits
    constexpr std::array<std::string_view, 4> kOrdinals = {"st", "nd", "rd", "th"};
    const bool ordinal = std::any_of(kOrdinals.begin(), kOrdinals.end(), [&](std::string_view s) {
      return text.substr(k).starts_with(s) && !is_word(text, k + 2);
    });
    return ordinal ? k : kNone;
  }
  if (at(text, k) == '%' && !is_word(text, k + 1)) ++k;
  return k;
}

std::size_t path(std::string_view text, std::size_t i) {
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
  const char first = text[i];
  if (first == '/' || first == '~' || first == '.') {
    return slashes > 0 && k > i + 2 && is_alpha(text[k - 1] == '/' ? text[k - 2] : text[k - 1])
               ? k
               : kNone;
  }
  return (slashes >= 1 && extension) || slashes >= 3 ? k : kNone;
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
      good = good && k - part >= 2;
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
  const std::size_t underscore = word.find('_');
  if (underscore != kNone && underscore + 1 < word.size() && underscore > 0) return true;
  if (word.starts_with("__")) return true;
  for (std::size_t k = 1; k < word.size(); ++k) {
    if (is_lower(word[k - 1]) && is_upper(word[k])) return true;
  }
  return false;
}

/// End of "(...)" directly behind a name; "file(s)" is prose.
std::size_t call(std::string_view text, std::size_t k) {
  if (at(text, k) != '(') return kNone;
  const std::size_t close = text.substr(0, k + 120).find_first_of("()\n", k + 1);
  if (close == kNone || text[close] != ')') return kNone;
  const std::string_view inside = text.substr(k + 1, close - k - 1);
  if (inside == "s" || inside == "es" || inside == "ren") return kNone;
  return close + 1;
}

}  // namespace

bool word_start(std::string_view text, std::size_t i) {
  const char c = text[i];
  const bool free = i == 0 || !is_word(text, i - 1);
  if (!free) return false;
  if (is_word(text, i)) return true;
  const bool open = i == 0 || std::string_view(" \t\n\r(\"'[=,:").find(text[i - 1]) != kNone;
  return open && (c == '/' || c == '~' || c == '.' || c == '-');
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
  if ((end = path(text, i)) != kNone) return is(SpanKind::kPath, end);
  if (!is_word(text, i)) return kNone;
  if ((end = dotted(text, i)) != kNone) {
    const std::size_t called = call(text, end);
    return is(SpanKind::kIdentifier, called == kNone ? end : called);
  }
  end = i;
  bool digits = false;
  while (is_word(text, end)) {
    digits = digits || is_digit(text[end]);
    ++end;
  }
  const std::string_view word = text.substr(i, end - i);
  const std::size_t called = word.size() >= 2 ? call(text, end) : kNone;
  if (called != kNone) return is(SpanKind::kIdentifier, called);
  if (digits || looks_like_identifier(word)) return is(SpanKind::kIdentifier, end);
  return kNone;
}

std::size_t skip_word(std::string_view text, std::size_t i) {
  std::size_t end = i;
  while (is_word(text, end)) ++end;
  return std::max(end, i + 1);
}

}  // namespace nativo::text
