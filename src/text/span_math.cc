#include "text/span_math.h"

#include <array>

namespace nativo::text {
namespace {

/// "$20 or 20$": two words of three letters outside braces and not commands.
bool reads_like_prose(std::string_view inside) {
  int words = 0;
  int depth = 0;
  for (std::size_t k = 0; k < inside.size(); ++k) {
    if (inside[k] == '{') ++depth;
    if (inside[k] == '}') --depth;
    if (!is_alpha(inside[k])) continue;
    const std::size_t begin = k;
    while (k < inside.size() && is_alpha(inside[k])) ++k;
    if (k - begin >= 3 && depth <= 0 && (begin == 0 || inside[begin - 1] != '\\')) ++words;
    --k;
  }
  return words >= 2 || (words == 1 && is_digit(inside[0]));
}

/// Commands that begin like the escapes \b \f \n \r \t \v and are none.
bool is_command(std::string_view name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"nabla",      "natural", "ne",         "nearrow",    "neg",      "neq",      "newline",
       "newcommand", "newpage", "ni",         "nolimits",   "nonumber", "noindent", "not",
       "notin",      "nu",      "nwarrow",    "rangle",     "rbrace",   "rceil",    "ref",
       "rfloor",     "rho",     "right",      "rightarrow", "rm",       "root",     "tan",
       "tanh",       "tau",     "tbinom",     "text",       "textbf",   "textit",   "textrm",
       "texttt",     "tfrac",   "theta",      "thinspace",  "tilde",    "times",    "title",
       "to",         "top",     "triangle",   "tiny",       "bar",      "because",  "begin",
       "beta",       "bf",      "big",        "binom",      "bmod",     "boxed",    "bullet",
       "forall",     "frac",    "varepsilon", "varphi",     "vec",      "vee"});
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// End of "{..}" and "[..]" arguments and "_x", "^{..}" behind a command.
std::size_t arguments(std::string_view text, std::size_t k) {
  for (;;) {
    std::size_t open = k;
    if (char_at(text, open) == '_' || char_at(text, open) == '^') ++open;
    const char c = char_at(text, open);
    if (c != '{' && !(c == '[' && open == k)) {
      if (open == k || !(is_alpha(c) || is_digit(c))) return k;
      k = open + 1;
      continue;
    }
    int depth = 0;
    std::size_t close = open;
    const std::size_t limit = std::min(text.size(), open + 400);
    for (; close < limit && text[close] != '\n'; ++close) {
      if (is_one_of(text[close], "{[")) ++depth;
      if (is_one_of(text[close], "}]") && --depth == 0) break;
    }
    if (close >= limit || text[close] == '\n') return k;
    k = close + 1;
  }
}

}  // namespace

std::size_t match_dollar_math(std::string_view text, std::size_t i, FarSearch& far) {
  if (char_at(text, i + 1) == '$') {
    const std::size_t close = far.find("$$", i + 2);
    return close == kNoSpan || close == i + 2 ? kNoSpan : close + 2;
  }
  // Pandoc's rule: no space inside the marks, no digit behind the closing one.
  if (i + 1 >= text.size() || is_space(text[i + 1])) return kNoSpan;
  for (std::size_t from = i + 1;;) {
    const std::size_t close = find_near(text, "$", from);
    if (close == kNoSpan || close == i + 1 || close - i > 400) return kNoSpan;
    if (text[close - 1] == '\\') {
      from = close + 1;
      continue;
    }
    if (is_space(text[close - 1]) || is_digit(char_at(text, close + 1))) return kNoSpan;
    return reads_like_prose(text.substr(i + 1, close - i - 1)) ? kNoSpan : close + 1;
  }
}

std::size_t match_backslash(std::string_view text, std::size_t i, FarSearch& far, SpanKind& kind) {
  kind = SpanKind::kMath;
  const char c = char_at(text, i + 1);
  if (c == '(' || c == '[') {
    const std::size_t close = far.find(c == '(' ? "\\)" : "\\]", i + 2);
    if (close != kNoSpan) return close + 2;
  }
  constexpr std::string_view kBegin = "\\begin{";
  if (text.substr(i).starts_with(kBegin)) {
    const std::size_t name_end = text.substr(0, i + 60).find('}', i);
    if (name_end != kNoSpan) {
      const std::string name(text.substr(i + kBegin.size(), name_end - i - kBegin.size()));
      const std::string closing = "\\end{" + name + "}";
      const std::size_t close = far.find(closing, name_end);
      if (close != kNoSpan) return close + closing.size();
    }
  }
  std::size_t letters = i + 1;
  while (is_alpha(char_at(text, letters)) && letters < i + 40) ++letters;
  const std::string_view name = text.substr(i + 1, letters - i - 1);
  const bool escape = is_one_of(c, "nrtbfv0") && !is_command(name);
  if (name.size() >= 2 && !escape) {
    // \u00e8 and \x41 are escapes too.
    const std::size_t hex = c == 'u' ? 4 : c == 'x' ? 2 : 0;
    std::size_t digits = i + 2;
    while (hex > 0 && digits < i + 2 + hex &&
           is_one_of(char_at(text, digits), "0123456789abcdefABCDEF")) {
      ++digits;
    }
    if (hex == 0 || digits != i + 2 + hex) return arguments(text, letters);
  }
  kind = SpanKind::kEscape;
  if (c == 'u' || c == 'x') {
    std::size_t digits = i + 2;
    while (digits < i + 2 + (c == 'u' ? 4 : 2) &&
           is_one_of(char_at(text, digits), "0123456789abcdefABCDEF")) {
      ++digits;
    }
    return digits == i + 2 + (c == 'u' ? 4U : 2U) ? digits : kNoSpan;
  }
  if (is_one_of(c, "\"'") && i > 0 && text[i - 1] == c) return kNoSpan;  // '\'
  if (escape) return i + 2;
  return c != '\0' && is_one_of(c, "\\\"'`*_{}[]()#+-.!|<>$%&~^@/") ? i + 2 : kNoSpan;
}

}  // namespace nativo::text
