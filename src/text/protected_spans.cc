// One pass from left to right; at each place the matchers are asked in order, the first that fits
// wins. Look-ahead of inline matchers ends with the paragraph or after kReach bytes.
#include "text/protected_spans.h"

#include <algorithm>
#include <map>
#include <string>

#include "text/code_lines.h"
#include "text/span_words.h"

namespace nativo::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;
constexpr std::size_t kReach = 4096;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Span> run() {
    const auto code = find_code_lines(text_);
    std::size_t next_code = 0;
    std::size_t i = 0;
    while (i < text_.size()) {
      if (line_start(i)) {
        if (const std::size_t end = fence(i); end != kNone) {
          i = add(SpanKind::kFencedCode, i, end);
          continue;
        }
        while (next_code < code.size() && code[next_code].first < i) ++next_code;
        if (next_code < code.size() && code[next_code].first == i) {
          std::size_t end = code[next_code].second;
          // A fence inside the run ends it.
          for (std::size_t line = i; line < end;) {
            if (line > i && fence(line) != kNone) {
              end = line - 1;
              break;
            }
            const std::size_t newline = text_.find('\n', line);
            line = newline == kNone ? end : newline + 1;
          }
          while (end > i && is_space(text_[end - 1])) --end;
          std::size_t begin = i;
          while (begin < end && is_space(text_[begin])) ++begin;
          if (begin < end) {
            i = add(SpanKind::kCodeLines, begin, end);
            continue;
          }
        }
      }
      i = step(i);
    }
    return std::move(spans_);
  }

 private:
  std::size_t add(SpanKind kind, std::size_t begin, std::size_t end) {
    spans_.push_back({kind, begin, end});
    return end;
  }
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool line_start(std::size_t i) const { return i == 0 || text_[i - 1] == '\n'; }

  /// Position of `needle` at or after `from` before the paragraph ends, or kNone.
  std::size_t find_near(std::string_view needle, std::size_t from) const {
    const std::string_view window = text_.substr(std::min(from, text_.size()), kReach);
    const std::size_t found = window.find(needle);
    if (found == kNone || window.substr(0, found).find("\n\n") != kNone) return kNone;
    return from + found;
  }
  /// Anywhere behind; remembers that there is none, so that the scan stays linear.
  std::size_t find_far(const std::string& needle, std::size_t from) {
    if (absent_.contains(needle)) return kNone;
    const std::size_t found = text_.find(needle, from);
    if (found == kNone) absent_[needle] = true;
    return found;
  }

  /// End of a fenced block whose opening line starts at `i`.
  std::size_t fence(std::size_t i) const {
    std::size_t k = i;
    while (at(k) == ' ' || at(k) == '\t') ++k;
    const char mark = at(k);
    if (mark != '`' && mark != '~') return kNone;
    std::size_t length = 0;
    while (at(k + length) == mark) ++length;
    if (length < 3) return kNone;
    std::size_t line = text_.find('\n', k);
    if (mark == '`' &&
        text_.substr(k + length, line == kNone ? kNone : line - k - length).find('`') != kNone) {
      return kNone;  // ```x``` on one line is inline code
    }
    while (line != kNone) {
      std::size_t m = line + 1;
      while (at(m) == ' ' || at(m) == '\t') ++m;
      std::size_t closing = 0;
      while (at(m + closing) == mark) ++closing;
      std::size_t end = m + closing;
      std::size_t rest = end;
      while (at(rest) == ' ' || at(rest) == '\t' || at(rest) == '\r') ++rest;
      if (closing >= length && (rest >= text_.size() || text_[rest] == '\n')) return end;
      line = text_.find('\n', line + 1);
    }
    return text_.size();
  }

  std::size_t inline_code(std::size_t i) const {
    std::size_t length = 0;
    while (at(i + length) == '`') ++length;
    const std::string marks(length, '`');
    std::size_t from = i + length;
    while (length <= 8) {
      const std::size_t found = find_near(marks, from);
      if (found == kNone || found == i + length) return kNone;
      std::size_t run = length;
      while (at(found + run) == '`') ++run;
      if (run == length) return found + run;
      from = found + run;
    }
    return kNone;
  }

  std::size_t dollar_math(std::size_t i) {
    if (at(i + 1) == '$') {
      const std::size_t close = find_far("$$", i + 2);
      return close == kNone || close == i + 2 ? kNone : close + 2;
    }
    // Pandoc's rule: no space inside the marks, no digit behind the closing one.
    if (i + 1 >= text_.size() || is_space(text_[i + 1])) return kNone;
    for (std::size_t from = i + 1;;) {
      const std::size_t close = find_near("$", from);
      if (close == kNone || close == i + 1 || close - i > 400) return kNone;
      if (is_space(text_[close - 1]) || is_digit(at(close + 1)) || at(close - 1) == '\\') {
        if (at(close - 1) != '\\') return kNone;
        from = close + 1;
        continue;
      }
      return reads_like_prose(text_.substr(i + 1, close - i - 1)) ? kNone : close + 1;
    }
  }
  /// "$20 or 20$": two words of three letters outside braces and not commands.
  static bool reads_like_prose(std::string_view inside) {
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

  std::size_t backslash_math(std::size_t i) {
    if (at(i + 1) == '(' || at(i + 1) == '[') {
      const std::size_t close = find_far(at(i + 1) == '(' ? "\\)" : "\\]", i + 2);
      return close == kNone ? kNone : close + 2;
    }
    constexpr std::string_view kBegin = "\\begin{";
    if (!text_.substr(i).starts_with(kBegin)) return kNone;
    const std::size_t name_end = text_.substr(0, i + 60).find('}', i);
    if (name_end == kNone) return kNone;
    const std::string name(text_.substr(i + kBegin.size(), name_end - i - kBegin.size()));
    const std::string closing = "\\end{" + name + "}";
    const std::size_t close = find_far(closing, name_end);
    return close == kNone ? kNone : close + closing.size();
  }

  std::size_t tag(std::size_t i) const {
    if (text_.substr(i).starts_with("<<")) {
      const std::size_t close = find_near(">>", i + 2);
      return close == kNone || close - i > 200 ? kNone : close + 2;
    }
    if (text_.substr(i).starts_with("<!--")) {
      const std::size_t close = find_near("-->", i + 4);
      return close == kNone ? kNone : close + 3;
    }
    std::size_t k = i + 1;
    if (at(k) == '/' || at(k) == '!' || at(k) == '?') ++k;
    if (!is_alpha(at(k))) return kNone;
    const std::size_t close = text_.substr(0, i + 400).find_first_of("<>\n", k);
    return close == kNone || text_[close] != '>' ? kNone : close + 1;
  }

  std::size_t percent(std::size_t i) const {
    std::size_t k = i + 1;
    if (at(k) == '(') {
      k = text_.substr(0, i + 40).find(')', k);
      if (k == kNone) return kNone;
      ++k;
    } else {
      const std::size_t digits = k;
      while (is_digit(at(k)) || at(k) == '.') ++k;
      if (at(k) == '$' && k > digits) ++k;
    }
    while (at(k) == 'l' || at(k) == '-') ++k;
    if (k >= text_.size() || std::string_view("sdifgxXuc").find(text_[k]) == kNone) return kNone;
    return is_alpha(at(k + 1)) || is_digit(at(k + 1)) ? kNone : k + 1;
  }

  /// End of the balanced bracket at `i` (strings respected), or kNone.
  std::size_t balanced(std::size_t i) const {
    std::string stack;
    const std::size_t limit = std::min(text_.size(), i + kReach);
    for (std::size_t k = i; k < limit; ++k) {
      const char c = text_[k];
      if (c == '{' || c == '[' || c == '(') {
        stack.push_back(c == '{' ? '}' : c == '[' ? ']' : ')');
      } else if (c == '}' || c == ']' || c == ')') {
        if (stack.empty() || stack.back() != c) return kNone;
        stack.pop_back();
        if (stack.empty()) return k + 1;
      } else if (c == '"' && k > i && text_[k - 1] != '\\') {
        const std::size_t close = text_.substr(0, limit).find('"', k + 1);
        if (close == kNone) return kNone;
        k = close;
      } else if (c == '\n' && k + 1 < limit && text_[k + 1] == '\n') {
        return kNone;
      }
    }
    return kNone;
  }

  std::size_t brace(std::size_t i, SpanKind& kind) {
    if (i < no_literal_before_) return kNone;
    const std::size_t end = balanced(i);
    if (end == kNone) {
      no_literal_before_ = i + 256;  // hostile "{{{{": ask again only later
      return kNone;
    }
    const std::string_view inside = text_.substr(i + 1, end - i - 2);
    kind = SpanKind::kLiteral;
    if (text_[i] == '{') {
      if (inside.empty()) return end;
      if (inside.size() <= 60 && inside.find_first_of("\"':,\n.") == kNone) {
        kind = SpanKind::kPlaceholder;
        return end;
      }
      const bool keyed = inside.find("\":") != kNone || inside.find("':") != kNone ||
                         inside.find(": ") != kNone || inside.find(":\"") != kNone;
      const bool values = inside.find_first_of("\"'0123456789,") != kNone;
      return values && (keyed || only_values(inside)) ? end : kNone;
    }
    const bool nested =
        inside.find_first_of("{[") != kNone && inside.find_first_of("\"':,") != kNone;
    return only_values(inside) || (nested && inside.find("\":") != kNone) ||
                   (nested && inside.find(": ") != kNone)
               ? end
               : kNone;
  }
  /// Numbers, quoted strings, identifiers without spaces, joined by commas.
  static bool only_values(std::string_view inside) {
    bool value = false;
    for (std::size_t k = 0; k < inside.size(); ++k) {
      const char c = inside[k];
      if (c == '"' || c == '\'') {
        const std::size_t close = inside.find(c, k + 1);
        if (close == kNone) return false;
        k = close;
        value = true;
      } else if (is_digit(c)) {
        value = true;
      } else if (is_alpha(c)) {
        std::size_t word = k;
        while (word < inside.size() && is_alpha(inside[word])) ++word;
        if (word < inside.size() && inside[word] == ' ') return false;
        k = word - 1;
      } else if (std::string_view(" ,.-+_:[](){}\n").find(c) == kNone) {
        return false;
      }
    }
    return value;
  }

  std::size_t step(std::size_t i) {
    const char c = text_[i];
    SpanKind kind = SpanKind::kNumber;
    std::size_t end = kNone;
    switch (c) {
      case '`':
        if ((end = inline_code(i)) != kNone) return add(SpanKind::kInlineCode, i, end);
        while (at(i) == '`') ++i;
        return i;
      case '$':
        if (at(i + 1) == '{' && (end = find_near("}", i)) != kNone && end - i < 80) {
          return add(SpanKind::kPlaceholder, i, end + 1);
        }
        if ((end = dollar_math(i)) != kNone) return add(SpanKind::kMath, i, end);
        return i + 1;
      case '@':  // a decorator, an annotation, somebody's handle
        if (is_alpha(at(i + 1))) {
          for (end = i + 1; is_alpha(at(end)) || is_digit(at(end)) || at(end) == '_' ||
                            (at(end) == '.' && is_alpha(at(end + 1)));) {
            ++end;
          }
          return add(SpanKind::kIdentifier, i, end);
        }
        return i + 1;
      case '\\':
        if ((end = backslash_math(i)) != kNone) return add(SpanKind::kMath, i, end);
        return i + 1;
      case '<':
        if ((end = tag(i)) != kNone) return add(SpanKind::kTag, i, end);
        return i + 1;
      case '%':
        if ((end = percent(i)) != kNone) return add(SpanKind::kPlaceholder, i, end);
        return i + 1;
      case '{':
      case '[':
        if ((end = brace(i, kind)) != kNone) return add(kind, i, end);
        return i + 1;
      default:
        break;
    }
    if (word_start(text_, i)) {
      end = match_word(text_, i, kind);
      if (end != kNone) return add(kind, i, end);
      return skip_word(text_, i);
    }
    return i + 1;
  }

  std::string_view text_;
  std::vector<Span> spans_;
  std::map<std::string, bool> absent_;
  std::size_t no_literal_before_ = 0;
};

}  // namespace

std::string_view span_kind_name(SpanKind kind) {
  switch (kind) {
    case SpanKind::kFencedCode:
      return "fenced_code";
    case SpanKind::kCodeLines:
      return "code_lines";
    case SpanKind::kInlineCode:
      return "inline_code";
    case SpanKind::kMath:
      return "math";
    case SpanKind::kUrl:
      return "url";
    case SpanKind::kEmail:
      return "email";
    case SpanKind::kPlaceholder:
      return "placeholder";
    case SpanKind::kTag:
      return "tag";
    case SpanKind::kLiteral:
      return "literal";
    case SpanKind::kPath:
      return "path";
    case SpanKind::kIdentifier:
      return "identifier";
    case SpanKind::kNumber:
      return "number";
  }
  return "unknown";
}

std::vector<Span> find_spans(std::string_view text) { return Scanner(text).run(); }

Result<std::size_t> verify_protected(std::string_view source, std::string_view result) {
  const std::vector<Span> wanted = find_spans(source);
  const std::vector<Span> found = find_spans(result);
  const auto bytes = [](std::string_view text, const Span& span) {
    return text.substr(span.begin, span.end - span.begin);
  };
  std::map<std::string_view, std::ptrdiff_t> balance;
  for (const Span& span : wanted) ++balance[bytes(source, span)];
  for (const Span& span : found) {
    if (--balance[bytes(result, span)] < 0) {
      // A lost span explains more than an added one: look for it first.
      for (const Span& other : found) {
        if (&other > &span) --balance[bytes(result, other)];
      }
      for (const Span& want : wanted) {
        if (balance[bytes(source, want)] > 0) {
          return Rejection{"protected_span_lost", std::string(bytes(source, want))};
        }
      }
      return Rejection{"protected_span_added", std::string(bytes(result, span))};
    }
  }
  for (const Span& want : wanted) {
    if (balance[bytes(source, want)] > 0) {
      return Rejection{"protected_span_lost", std::string(bytes(source, want))};
    }
  }
  const auto is_block = [](const Span& span) {
    return span.kind == SpanKind::kFencedCode || span.kind == SpanKind::kCodeLines;
  };
  std::vector<std::string_view> order;
  for (const Span& span : wanted) {
    if (is_block(span)) order.push_back(bytes(source, span));
  }
  std::size_t next = 0;
  for (const Span& span : found) {
    if (!is_block(span)) continue;
    if (next >= order.size() || order[next] != bytes(result, span)) {
      return Rejection{"protected_span_moved", std::string(bytes(result, span))};
    }
    ++next;
  }
  return wanted.size();
}

}  // namespace nativo::text
