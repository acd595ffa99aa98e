#include "text/span_values.h"

namespace nativo::text {
namespace {

constexpr int kDeepestJson = 64;

bool is_name(char c) { return is_plain(c) || c == '.' || c == '-'; }

/// End of the balanced bracket at `i` (strings respected), or npos; `k` is where the search ended.
std::size_t balanced(std::string_view text, std::size_t i, std::size_t& k) {
  std::string stack;
  const std::size_t limit = std::min(text.size(), i + kSpanReach);
  for (k = i; k < limit; ++k) {
    const char c = text[k];
    if (c == '{' || c == '[' || c == '(') {
      stack.push_back(c == '{' ? '}' : c == '[' ? ']' : ')');
    } else if (c == '}' || c == ']' || c == ')') {
      if (stack.empty() || stack.back() != c) return kNoSpan;
      stack.pop_back();
      if (stack.empty()) return k + 1;
    } else if (c == '"' && k > i && text[k - 1] != '\\') {
      const std::size_t close = text.substr(0, limit).find('"', k + 1);
      if (close == kNoSpan) return kNoSpan;
      k = close;
    } else if (c == '\n' && k + 1 < limit && text[k + 1] == '\n') {
      return kNoSpan;
    }
  }
  return kNoSpan;
}

/// A JSON value by the grammar of RFC 8259, however long.
class JsonScan {
 public:
  JsonScan(std::string_view text, std::size_t i) : text_(text), i_(i) {}

  bool value(int depth = 0) {
    blanks();
    const char c = char_at(text_, i_);
    if (c == '{' || c == '[') return depth < kDeepestJson && container(c, depth);
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) {
      while (i_ < text_.size() && (is_digit(text_[i_]) || is_one_of(text_[i_], "+-.eE"))) ++i_;
      return true;
    }
    for (const std::string_view word : {"true", "false", "null"}) {
      if (!text_.substr(i_).starts_with(word)) continue;
      i_ += word.size();
      return true;
    }
    return false;
  }
  std::size_t at() const { return i_; }

 private:
  void blanks() {
    while (i_ < text_.size() && is_space(text_[i_])) ++i_;
  }
  bool string() {
    for (++i_; i_ < text_.size() && text_[i_] != '"'; ++i_) {
      if (static_cast<unsigned char>(text_[i_]) < ' ') return false;
      if (text_[i_] == '\\') ++i_;
    }
    return i_++ < text_.size();
  }
  bool container(char open, int depth) {
    const char close = open == '{' ? '}' : ']';
    ++i_;
    blanks();
    if (char_at(text_, i_) == close) return ++i_ > 0;
    for (;;) {
      blanks();
      if (open == '{') {
        if (char_at(text_, i_) != '"' || !string()) return false;
        blanks();
        if (char_at(text_, i_++) != ':') return false;
      }
      if (!value(depth + 1)) return false;
      blanks();
      const char c = char_at(text_, i_);
      if (c != ',' && c != close) return false;
      ++i_;
      if (c == close) return true;
    }
  }

  std::string_view text_;
  std::size_t i_;
};

/// Numbers, quoted strings, identifiers without spaces, joined by commas.
bool only_values(std::string_view inside) {
  bool value = false;
  for (std::size_t k = 0; k < inside.size(); ++k) {
    const char c = inside[k];
    if (c == '"' || c == '\'') {
      const std::size_t close = inside.find(c, k + 1);
      if (close == kNoSpan) return false;
      k = close;
      value = true;
    } else if (is_digit(c)) {
      value = true;
    } else if (is_alpha(c)) {
      std::size_t word = k;
      while (word < inside.size() && is_alpha(inside[word])) ++word;
      if (word < inside.size() && inside[word] == ' ') return false;
      k = word - 1;
    } else if (!is_one_of(c, " ,.-+_:[](){}\n")) {
      return false;
    }
  }
  return value;
}

/// "name", "0", "user.name", "x!r", "total:>10.2f", "items[0]", "$var", " -brand "
bool is_replacement(std::string_view inside) {
  if (inside.size() > 120) return false;
  if (inside.find_first_of("\"':,\n.") == kNoSpan) return true;
  // Fluent: { -brand(capitalization: "uppercase") }, { $count }
  const std::size_t sign = inside.find_first_not_of(' ');
  if (sign != kNoSpan && sign + 1 < inside.size() && is_one_of(inside[sign], "-$") &&
      is_alpha(inside[sign + 1]) && inside.find('\n') == kNoSpan) {
    return true;
  }
  std::size_t k = 0;
  while (is_name(char_at(inside, k))) ++k;
  if (k == 0 || inside[k - 1] == '.') return false;
  if (is_digit(inside[0])) {  // {0:.2f}
    return inside.find_first_not_of("0123456789") < inside.size() &&
           is_one_of(char_at(inside, k), "!:") && inside.find_first_of(" \n,\"'", k) == kNoSpan &&
           k + 1 < inside.size() && !is_digit(inside[k + 1]);
  }
  if (char_at(inside, k) == '[') {
    const std::size_t close = inside.find(']', k);
    if (close == kNoSpan) return false;
    k = close + 1;
  }
  if (char_at(inside, k) == '!' || char_at(inside, k) == ':') {
    return inside.find_first_of(" \n,\"'", k) == kNoSpan && k + 1 < inside.size();
  }
  return k == inside.size();
}

std::size_t template_mark(std::string_view text, std::size_t i) {
  const char second = char_at(text, i + 1);
  if (second != '{' && second != '%' && second != '#') return kNoSpan;
  const std::string_view closing = second == '{' ? "}}" : second == '%' ? "%}" : "#}";
  const std::size_t close = text.substr(0, std::min(text.size(), i + 300)).find(closing, i + 2);
  if (close == kNoSpan || close == i + 2) return kNoSpan;
  const std::string_view inside = text.substr(i + 2, close - i - 2);
  if (inside.find('\n') != kNoSpan || inside.find('{') != kNoSpan) return kNoSpan;
  return close + 2 + (second == '{' && char_at(text, close + 2) == '}' ? 1 : 0);
}

}  // namespace

std::size_t match_percent(std::string_view text, std::size_t i) {
  std::size_t k = i + 1;
  const bool after_digit = i > 0 && is_digit(text[i - 1]);
  if (char_at(text, k) == '%') return k + 1;
  if (char_at(text, k) == '{') {
    k = text.substr(0, i + 60).find('}', k);
    return k == kNoSpan ? kNoSpan : k + 1;
  }
  std::size_t name = k;  // %NAME%
  while (is_plain(char_at(text, name))) ++name;
  // "%dx%d" is two marks with a letter between them.
  const bool pair = name == k + 2 && is_one_of(text[k], "sd") && is_one_of(text[k + 1], "sx") &&
                    is_alpha(char_at(text, name + 1));
  if (name > k + 1 && char_at(text, name) == '%' && !is_digit(text[k]) && !pair) return name + 1;
  if (char_at(text, k) == '(') {
    k = text.substr(0, i + 60).find(')', k);
    if (k == kNoSpan) return kNoSpan;
    ++k;
  } else {
    const std::size_t digits = k;
    while (is_digit(char_at(text, k))) ++k;
    if (k == digits + 1 && text[digits] != '0' && !after_digit && !is_word_byte(char_at(text, k)) &&
        !is_one_of(char_at(text, k), ".$")) {
      return k;  // Qt
    }
    if (k < text.size() && text[k] == '$' && k > digits) {
      ++k;
    } else {
      k = digits;
    }
  }
  while (k < text.size() && is_one_of(text[k], "-+#0")) ++k;
  while (k < text.size() && (is_digit(text[k]) || is_one_of(text[k], ".*"))) ++k;
  while (k < text.size() && is_one_of(text[k], "hlqjztL")) ++k;
  if (k >= text.size() || !is_one_of(text[k], "sdifFgGeEoxXucpn@")) return kNoSpan;
  const char next = char_at(text, k + 1);
  if (!is_alpha(next) && !is_digit(next)) return k + 1;
  // "%ss" in the plural, "%dx%d", "%ds": one letter of text behind the mark.
  const bool glued = (next == 's' || next == 'x') && !is_alpha(char_at(text, k + 2));
  return glued && !after_digit && is_one_of(text[k], "sd") ? k + 1 : kNoSpan;
}

std::size_t match_sigil(std::string_view text, std::size_t i) {
  const char next = char_at(text, i + 1);
  if (next == '{' || (next == '(' && text[i] == '$')) {
    const std::size_t close =
        text.substr(0, std::min(text.size(), i + 80)).find(next == '{' ? '}' : ')', i + 2);
    if (close == kNoSpan || text.substr(i, close - i).find('\n') != kNoSpan) return kNoSpan;
    return close + 1;
  }
  const bool free = i == 0 || !is_word_byte(text[i - 1]);
  if (text[i] == '$' && free && (is_alpha(next) || next == '_')) {
    std::size_t k = i + 1;
    while (is_plain(char_at(text, k))) ++k;
    return k;
  }
  return kNoSpan;
}

std::size_t BracketMatcher::match(std::string_view text, std::size_t i, SpanKind& kind) {
  if (text[i] == '{') {
    if (const std::size_t end = template_mark(text, i); end != kNoSpan) {
      kind = SpanKind::kPlaceholder;
      return end;
    }
    const std::size_t close =
        text.substr(0, std::min(text.size(), i + 124)).find_first_of("{}", i + 1);
    if (close != kNoSpan && text[close] == '}' &&
        is_replacement(text.substr(i + 1, close - i - 1))) {
      kind = SpanKind::kPlaceholder;
      return close + 1;
    }
  }
  if (i < not_before_) return kNoSpan;
  kind = SpanKind::kLiteral;
  std::size_t searched = i;
  const std::size_t end = balanced(text, i, searched);
  if (end == kNoSpan) {
    if (searched > i + 256) not_before_ = i + 256;  // hostile "{{{{": ask again only later
    if (i < no_json_before_) return kNoSpan;
    JsonScan json(text, i);
    if (json.value() && json.at() > i + kSpanReach) return json.at();
    if (json.at() > i + kSpanReach) no_json_before_ = json.at();
    return kNoSpan;
  }
  const std::string_view inside = text.substr(i + 1, end - i - 2);
  if (text[i] == '{') {
    if (inside.empty() || is_replacement(inside)) {
      kind = SpanKind::kPlaceholder;
      return end;
    }
    const bool keyed = inside.find("\":") != kNoSpan || inside.find("':") != kNoSpan ||
                       inside.find(": ") != kNoSpan || inside.find(":\"") != kNoSpan;
    const bool values = inside.find_first_of("\"'0123456789,") != kNoSpan;
    return values && (keyed || only_values(inside)) ? end : kNoSpan;
  }
  const bool nested = inside.find_first_of("{[") != kNoSpan &&
                      (inside.find("\":") != kNoSpan || inside.find(": ") != kNoSpan);
  return only_values(inside) || nested ? end : kNoSpan;
}

std::vector<Span> match_message_format(std::string_view text, std::size_t i) {
  const std::size_t limit = std::min(text.size(), i + kSpanReach);
  std::size_t k = i + 1;
  const auto blanks = [&] {
    while (k < limit && is_space(text[k])) ++k;
  };
  const auto word = [&] {
    const std::size_t begin = k;
    if (char_at(text, k) == '=') ++k;
    while (k < limit && (is_plain(text[k]) || text[k] == '-')) ++k;
    return text.substr(begin, k - begin);
  };
  const auto comma = [&] {
    blanks();
    return k < limit && text[k] == ',' && ++k > 0;
  };
  blanks();
  if (word().empty() || !comma()) return {};
  blanks();
  const std::string_view type = word();
  if (type != "plural" && type != "select" && type != "selectordinal") return {};
  if (!comma()) return {};
  std::vector<Span> marks;
  std::size_t mark = i;
  for (;;) {
    blanks();
    if (k < limit && text[k] == '}') {
      if (marks.empty()) return {};
      marks.push_back({SpanKind::kMessageFormat, mark, k + 1});
      return marks;
    }
    if (text.substr(k).starts_with("offset:")) {
      k += 7;
      while (is_digit(char_at(text, k))) ++k;
      continue;
    }
    if (word().empty()) return {};
    blanks();
    if (k >= limit || text[k] != '{') return {};
    marks.push_back({SpanKind::kMessageFormat, mark, ++k});
    for (int depth = 0; k < limit && (depth > 0 || text[k] != '}'); ++k) {
      if (text[k] == '{') ++depth;
      if (text[k] == '}') --depth;
      if (text[k] == '#' && depth == 0 && type != "select") {
        marks.push_back({SpanKind::kPlaceholder, k, k + 1});
      }
    }
    if (k >= limit) return {};
    mark = k++;
  }
}

}  // namespace nativo::text
