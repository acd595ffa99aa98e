#include "text/span_markup.h"

#include <array>

namespace nativo::text {
namespace {

/// How far a link's text, an emphasis and a tag may reach.
constexpr std::size_t kLongestInline = 1000;

bool line_starts(std::string_view text, std::size_t i) { return i == 0 || text[i - 1] == '\n'; }

/// End of "name", "name='v'", .. up to the closing '>' from `k`, or npos.
std::size_t attributes(std::string_view text, std::size_t k) {
  const std::size_t limit = std::min(text.size(), k + kLongestInline);
  while (k < limit) {
    const char c = text[k];
    if (c == '>') return k + 1;
    if (c == '<' || (c == '\n' && char_at(text, k + 1) == '\n')) return kNoSpan;
    if (c == '=' && is_one_of(char_at(text, k + 1), "\"'")) {
      const std::size_t close = text.substr(0, limit).find(text[k + 1], k + 2);
      if (close == kNoSpan) return kNoSpan;
      k = close;
    }
    ++k;
  }
  return kNoSpan;
}

bool keeps_content(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {"code", "pre",  "script", "style",
                                                      "kbd",  "samp", "svg",    "math"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// Position of the bracket that closes the one at `i`; code, escapes and nested ones respected.
std::size_t closing_bracket(std::string_view text, std::size_t i) {
  int depth = 0;
  const std::size_t limit = std::min(text.size(), i + kLongestInline);
  for (std::size_t k = i; k < limit; ++k) {
    switch (text[k]) {
      case '\\':
        ++k;
        break;
      case '`':
        if (const std::size_t end = match_inline_code(text, k); end != kNoSpan) k = end - 1;
        break;
      case '[':
        ++depth;
        break;
      case ']':
        if (--depth == 0) return k;
        break;
      case '\n':
        if (char_at(text, k + 1) == '\n') return kNoSpan;
        break;
      default:
        break;
    }
  }
  return kNoSpan;
}

/// End of "(address "title")" at `k`, or npos.
std::size_t destination(std::string_view text, std::size_t k) {
  int depth = 0;
  bool blank = false;
  const std::size_t limit = std::min(text.size(), k + kLongestInline);
  for (std::size_t i = k; i < limit; ++i) {
    const char c = text[i];
    if (c == '\n') return kNoSpan;
    if (is_one_of(c, "\"'") && blank) {  // a title
      const std::size_t close = text.substr(0, limit).find(c, i + 1);
      if (close == kNoSpan) return kNoSpan;
      i = close;
      continue;
    }
    if (c == '(') ++depth;
    if (c == ')' && --depth == 0) return i + 1;
    if (blank && c != ' ') return kNoSpan;
    blank = (c == ' ' && i > k + 1);
  }
  return kNoSpan;
}

/// Names that programs write between "__" and "__"; other words there are bold.
bool is_special_name(std::string_view name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"FILE", "LINE", "add",     "all",   "bool", "call", "class",  "contains", "del",
       "dict", "doc",  "enter",   "eq",    "exit", "file", "func",   "getitem",  "gt",
       "hash", "init", "iter",    "len",   "lt",   "main", "mul",    "name",     "new",
       "next", "repr", "setitem", "slots", "str",  "sub",  "version"});
  return name.find('_') != kNoSpan || std::ranges::find(kNames, name) != kNames.end();
}

std::size_t line_end(std::string_view text, std::size_t i) {
  const std::size_t newline = text.find('\n', i);
  const std::size_t end = newline == kNoSpan ? text.size() : newline;
  return end > i && text[end - 1] == '\r' ? end - 1 : end;
}

}  // namespace

bool is_element(std::string_view name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"a",          "abbr",  "article", "aside",    "audio",      "b",       "big",
       "blockquote", "body",  "br",      "button",   "canvas",     "caption", "center",
       "cite",       "code",  "col",     "dd",       "del",        "details", "div",
       "dl",         "dt",    "em",      "fieldset", "figcaption", "figure",  "font",
       "footer",     "form",  "h1",      "h2",       "h3",         "h4",      "h5",
       "h6",         "head",  "header",  "hr",       "html",       "i",       "iframe",
       "img",        "input", "ins",     "kbd",      "label",      "li",      "link",
       "main",       "mark",  "meta",    "nav",      "ol",         "option",  "p",
       "pre",        "q",     "s",       "samp",     "script",     "section", "select",
       "small",      "span",  "strong",  "style",    "sub",        "summary", "sup",
       "svg",        "table", "tbody",   "td",       "textarea",   "tfoot",   "th",
       "thead",      "tr",    "u",       "ul",       "var",        "video",   "title",
       "math"});
  std::string lower(name);
  for (char& c : lower) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return std::find(kNames.begin(), kNames.end(), lower) != kNames.end();
}

std::size_t match_front_matter(std::string_view text) {
  if (!text.starts_with("---\n") && !text.starts_with("---\r\n")) return kNoSpan;
  std::size_t line = text.find('\n') + 1;
  if (text.substr(0, line_end(text, line)).find(':', line) == kNoSpan) return kNoSpan;
  for (int lines = 0; line < text.size() && lines < 400; ++lines) {
    const std::size_t end = line_end(text, line);
    const std::string_view content = text.substr(line, end - line);
    if (content == "---" || content == "...") return end;
    const std::size_t newline = text.find('\n', line);
    if (newline == kNoSpan) break;
    line = newline + 1;
  }
  return kNoSpan;
}

std::size_t match_fence(std::string_view text, std::size_t i) {
  std::size_t k = i;
  while (is_one_of(char_at(text, k), " \t") && k < text.size()) ++k;
  const char mark = char_at(text, k);
  if (mark != '`' && mark != '~') return kNoSpan;
  std::size_t length = 0;
  while (char_at(text, k + length) == mark) ++length;
  if (length < 3) return kNoSpan;
  std::size_t line = text.find('\n', k);
  if (mark == '`' &&
      text.substr(k + length, line == kNoSpan ? kNoSpan : line - k - length).find('`') != kNoSpan) {
    return kNoSpan;  // ```x``` on one line is inline code
  }
  while (line != kNoSpan) {
    std::size_t m = line + 1;
    while (char_at(text, m) == ' ' || char_at(text, m) == '\t') ++m;
    std::size_t closing = 0;
    while (char_at(text, m + closing) == mark) ++closing;
    const std::size_t end = m + closing;
    std::size_t rest = end;
    while (is_one_of(char_at(text, rest), " \t\r") && rest < text.size()) ++rest;
    if (closing >= length && (rest >= text.size() || text[rest] == '\n')) return end;
    line = text.find('\n', line + 1);
  }
  return text.size();
}

std::size_t match_inline_code(std::string_view text, std::size_t i) {
  std::size_t length = 0;
  while (char_at(text, i + length) == '`') ++length;
  const std::string marks(length, '`');
  std::size_t from = i + length;
  while (length <= 8) {
    const std::size_t found = find_near(text, marks, from);
    if (found == kNoSpan || found == i + length) return kNoSpan;
    std::size_t run = length;
    while (char_at(text, found + run) == '`') ++run;
    if (run == length) return found + run;
    from = found + run;
  }
  return kNoSpan;
}

std::size_t match_tag(std::string_view text, std::size_t i, FarSearch& far) {
  const std::string_view rest = text.substr(i);
  if (rest.starts_with("<<")) {
    const std::size_t close = find_near(text, ">>", i + 2);
    return close == kNoSpan || close - i > 200 ? kNoSpan : close + 2;
  }
  if (rest.starts_with("<!--")) {
    const std::size_t close = far.find("-->", i + 4);
    return close == kNoSpan ? kNoSpan : close + 3;
  }
  if (rest.starts_with("<%") || rest.starts_with("<?")) {
    const std::size_t close = find_near(text, rest[1] == '%' ? "%>" : "?>", i + 2);
    if (close != kNoSpan) return close + 2;
  }
  const bool closing = char_at(text, i + 1) == '/';
  std::size_t k = i + 1;
  if (closing || is_one_of(char_at(text, k), "!?")) ++k;
  if (!is_alpha(char_at(text, k))) return kNoSpan;
  std::size_t name_end = k;
  while (is_plain(char_at(text, name_end)) || is_one_of(char_at(text, name_end), "-:.")) {
    if (++name_end >= text.size()) break;
  }
  const std::string_view name = text.substr(k, name_end - k);
  const std::size_t end = attributes(text, name_end);
  if (end == kNoSpan) return kNoSpan;
  const std::string_view inside = text.substr(name_end, end - 1 - name_end);
  const bool blank = inside.find_first_of(" \t\n") != kNoSpan;
  const bool structural = inside.find_first_of("=/{\"") != kNoSpan;
  const bool letter = name.size() == 1 && inside.find_first_not_of(" \t\n") != kNoSpan;
  if (!closing && text[i + 1] != '!' && !structural) {
    // <i>, <x-y>, <item>..</item>; but not <empty>, <your name>, "a <b and c> d".
    const bool known = is_element(name) && !(blank && letter);
    const bool compound =
        !blank && (name.find_first_of("-:_") != kNoSpan || (i > 0 && is_plain(text[i - 1])) ||
                   inside.find_first_not_of(" ") != kNoSpan);
    if (!known && !compound &&
        (blank || far.find("</" + std::string(name) + ">", end) == kNoSpan)) {
      return kNoSpan;
    }
  }
  if (!closing && keeps_content(name) && text[end - 2] != '/') {
    const std::string mark = "</" + std::string(name) + ">";
    const std::size_t close = far.find(mark, end);
    if (close != kNoSpan) return close + mark.size();
  }
  return end;
}

std::size_t match_entity(std::string_view text, std::size_t i) {
  std::size_t k = i + 1;
  if (char_at(text, k) == '#') {
    ++k;
    const bool hex = is_one_of(char_at(text, k), "xX") && k < text.size();
    if (hex) ++k;
    const std::size_t digits = k;
    while (k < digits + 8 && is_one_of(char_at(text, k), "0123456789abcdefABCDEF") &&
           k < text.size()) {
      ++k;
    }
    return k > digits && char_at(text, k) == ';' ? k + 1 : kNoSpan;
  }
  while (k < i + 33 && (is_alpha(char_at(text, k)) || is_digit(char_at(text, k)))) ++k;
  return k > i + 2 && char_at(text, k) == ';' ? k + 1 : kNoSpan;
}

MarkPair match_link(std::string_view text, std::size_t i) {
  const bool image = text[i] == '!';
  const std::size_t open = image ? i + 1 : i;
  if (char_at(text, open) != '[') return {};
  const std::size_t close = closing_bracket(text, open);
  if (close == kNoSpan) return {};
  const std::string_view inside = text.substr(open + 1, close - open - 1);
  const auto alone = [](std::size_t end) { return MarkPair{end, end, end}; };
  if (!image && line_starts(text, i) && char_at(text, close + 1) == ':' && !inside.empty()) {
    const std::size_t end = line_end(text, close);
    if (inside[0] == '^') return alone(close + 2);  // a footnote: its text is prose
    if (end > close + 3 && text.substr(close + 2, 1) == " ") return alone(end);
  }
  if (!image && inside.starts_with("^") && inside.size() > 1 &&
      inside.find_first_of(" \n") == kNoSpan) {
    return alone(close + 1);
  }
  if (!image && (inside == " " || inside == "x" || inside == "X") && open > 1 &&
      text[open - 1] == ' ' && is_one_of(text[open - 2], "-*+")) {
    return alone(close + 1);
  }
  std::size_t end = kNoSpan;
  if (char_at(text, close + 1) == '(') {
    end = destination(text, close + 1);
  } else if (char_at(text, close + 1) == '[') {
    const std::size_t id = closing_bracket(text, close + 1);
    if (id != kNoSpan && id - close < 80) end = id + 1;
  }
  if (end == kNoSpan) return {};
  return {open + 1, close, end};
}

std::size_t match_bbcode(std::string_view text, std::size_t i, FarSearch& far) {
  const bool closing = char_at(text, i + 1) == '/';
  const std::size_t begin = closing ? i + 2 : i + 1;
  std::size_t k = begin;
  while (k < begin + 20 && is_lower(char_at(text, k))) ++k;
  if (k == begin) return kNoSpan;
  const std::string name(text.substr(begin, k - begin));
  if (closing) return char_at(text, k) == ']' ? k + 1 : kNoSpan;
  if (char_at(text, k) == '=') {
    k = text.substr(0, std::min(text.size(), k + 300)).find_first_of("[] \n", k);
    if (k == kNoSpan) return kNoSpan;
  }
  if (char_at(text, k) != ']' || char_at(text, k + 1) == '(') return kNoSpan;
  return far.find("[/" + name + "]", k) == kNoSpan ? kNoSpan : k + 1;
}

MarkPair match_emphasis(std::string_view text, std::size_t i) {
  const char mark = text[i];
  std::size_t length = 0;
  while (char_at(text, i + length) == mark) ++length;
  if (length > 3 || (mark == '~' && length != 2)) return {};
  if (i > 0 && (is_word_byte(text[i - 1]) || is_one_of(text[i - 1], "*_\\"))) return {};
  const std::size_t first = i + length;
  if (first >= text.size() || is_space(text[first])) return {};
  if (text[first] == '.' ||
      (i > 0 && is_one_of(text[i - 1], "'\"") && text[first] == text[i - 1])) {
    return {};  // *.txt, '*'
  }
  const std::size_t limit = std::min(text.size(), i + kLongestInline);
  for (std::size_t k = first; k < limit; ++k) {
    const char c = text[k];
    if (c == '\\') {
      ++k;
    } else if (c == '\n' && char_at(text, k + 1) == '\n') {
      return {};
    } else if (c == '`') {
      if (const std::size_t end = match_inline_code(text, k); end != kNoSpan) k = end - 1;
    } else if (c == mark) {
      std::size_t run = 0;
      while (char_at(text, k + run) == mark) ++run;
      const bool closes = run == length && k > first && !is_space(text[k - 1]) &&
                          !is_word_byte(char_at(text, k + run));
      if (closes && length == 2 && mark == '_' && is_special_name(text.substr(first, k - first))) {
        return {};
      }
      if (closes) return {first, k, k + run};
      k += run - 1;
    }
  }
  return {};
}

}  // namespace nativo::text
