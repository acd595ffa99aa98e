#include "text/jinja_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "text/jinja_strings.h"

namespace nativo::text::jinja {

void fail_at(std::string_view name, Position at, std::string_view message) {
  throw Error(ExitCode::kData,
              fmt::format("chat template {}:{}:{}: {}", printable(name), at.line, at.column,
                          printable(utf8_prefix(message, 400))),
              "docs/chat-templates.md lists what templates can use");
}

namespace {

constexpr std::size_t kMaxSource = 1U << 20U;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name) : name_(name) {
    if (source.size() > kMaxSource) fail_at(name, {}, "is larger than 1 MiB");
    if (!is_valid_utf8(source)) fail_at(name, {}, "is not UTF-8");
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (source[i] != '\r') {
        source_ += source[i];
      } else {
        source_ += '\n';
        if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      }
    }
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) root();
    push(TokenKind::kEnd, at_, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::size_t at, std::string_view message) {
    fail_at(name_, position(at), message);
  }

  /// Positions are asked for in rising order, so that one pass over the source finds them all.
  Position position(std::size_t at) {
    if (at < counted_) {
      counted_ = 0;
      here_ = {};
    }
    for (; counted_ < at; ++counted_) {
      if (source_[counted_] == '\n') {
        ++here_.line;
        here_.column = 1;
      } else {
        ++here_.column;
      }
    }
    return here_;
  }

  Token& push(TokenKind kind, std::size_t at, std::string text) {
    tokens_.push_back({kind, std::move(text), 0, 0.0, position(at)});
    return tokens_.back();
  }

  [[nodiscard]] bool starts(std::size_t at, std::string_view what) const {
    return std::string_view(source_).substr(std::min(at, source_.size())).starts_with(what);
  }

  void skip_space() {
    while (at_ < source_.size()) {
      std::size_t next = at_;
      if (!is_space(next_code_point(source_, next))) break;
      at_ = next;
    }
  }

  /// Behind a tag that may be followed by one newline that is not shown.
  void trim_newline() {
    if (at_ < source_.size() && source_[at_] == '\n') ++at_;
  }

  /// Text from begin to end, without what the sign of the tag that follows it takes away.
  void data(std::size_t begin, std::size_t end, char sign, bool strips_line) {
    std::string_view text = std::string_view(source_).substr(begin, end - begin);
    if (sign == '-') {
      text = rstrip(text, 0);
    } else if (sign != '+' && strips_line) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      if (line > 0 || line_starting_) {
        const std::string_view stripped = rstrip(text, line);
        if (stripped.size() == line) text = stripped;
      }
    }
    if (!text.empty()) push(TokenKind::kData, begin, std::string(text));
  }

  static std::string_view rstrip(std::string_view text, std::size_t keep) {
    while (text.size() > keep) {
      std::size_t at = text.size() - 1;
      while (at > keep && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
      std::size_t after = at;
      if (!is_space(next_code_point(text, after))) break;
      text = text.substr(0, at);
    }
    return text;
  }

  void root() {
    const std::size_t begin = at_;
    std::size_t tag = begin;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        data(begin, source_.size(), '+', false);
        at_ = source_.size();
        return;
      }
      const char c = source_[tag + 1];
      if (c == '{' || c == '%' || c == '#') break;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const bool has_sign = sign == '-' || sign == '+';
    at_ = tag + 2 + (has_sign ? 1 : 0);
    if (kind == '%' && raw_begins()) {
      data(begin, tag, sign, true);
      raw(tag);
      return;
    }
    data(begin, tag, sign, kind != '{');
    if (kind == '#') {
      comment(tag);
    } else {
      push(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, tag, {});
      tag_body(kind == '%');
    }
    line_starting_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  /// Moves behind "raw %}" if it is there.
  bool raw_begins() {
    const std::size_t saved = at_;
    skip_space();
    if (starts(at_, "raw")) {
      at_ += 3;
      skip_space();
      if (starts(at_, "-%}")) {
        at_ += 3;
        skip_space();
        return true;
      }
      if (starts(at_, "%}")) {
        at_ += 2;
        return true;
      }
    }
    at_ = saved;
    return false;
  }

  void raw(std::size_t tag) {
    line_starting_ = source_[at_ - 1] == '\n';
    const std::size_t begin = at_;
    for (std::size_t open = source_.find("{%", at_); open != std::string::npos;
         open = source_.find("{%", open + 1)) {
      at_ = open + 2;
      const char sign = at_ < source_.size() ? source_[at_] : '\0';
      if (sign == '-' || sign == '+') ++at_;
      skip_space();
      if (!starts(at_, "endraw")) continue;
      at_ += 6;
      skip_space();
      if (!block_ends()) continue;
      data(begin, open, sign, true);
      line_starting_ = source_[at_ - 1] == '\n';
      return;
    }
    fail(tag, "{% raw %} without {% endraw %}");
  }

  /// Moves behind "%}", "-%}" or "+%}" and what it takes away, if it is there.
  bool block_ends() {
    if (starts(at_, "+%}")) {
      at_ += 3;
    } else if (starts(at_, "-%}")) {
      at_ += 3;
      skip_space();
    } else if (starts(at_, "%}")) {
      at_ += 2;
      trim_newline();
    } else {
      return false;
    }
    return true;
  }

  void comment(std::size_t tag) {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fail(tag, "{# without #}");
    const char sign = close > at_ ? source_[close - 1] : '\0';
    at_ = close + 2;
    if (sign == '-') {
      skip_space();
    } else if (sign != '+') {
      trim_newline();
    }
  }

  void tag_body(bool block) {
    std::string open;  // brackets not closed yet
    while (true) {
      const std::size_t at = at_;
      if (open.empty() && block && block_ends()) {
        push(TokenKind::kBlockEnd, at, {});
        return;
      }
      if (open.empty() && !block && (starts(at_, "-}}") || starts(at_, "}}"))) {
        const bool strips = source_[at_] == '-';
        at_ += strips ? 3 : 2;
        if (strips) skip_space();
        push(TokenKind::kVariableEnd, at, {});
        return;
      }
      if (at_ >= source_.size()) fail(at, "the template ends inside a tag");
      token(open);
    }
  }

  void token(std::string& open) {
    const std::size_t at = at_;
    skip_space();
    if (at_ > at) return;
    const char c = source_[at_];
    if (is_digit(c)) {
      number();
    } else if (is_name_start(c)) {
      while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) ++at_;
      push(TokenKind::kName, at, source_.substr(at, at_ - at));
    } else if (c == '\'' || c == '"') {
      string(c);
    } else {
      op(open);
    }
  }

  void op(std::string& open) {
    static constexpr std::array<std::string_view, 26> kOperators = {
        "==", "!=", ">=", "<=", "//", "**", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const std::size_t at = at_;
    for (const std::string_view text : kOperators) {
      if (!starts(at, text)) continue;
      at_ += text.size();
      const char c = text[0];
      if (c == '(' || c == '[' || c == '{') {
        open += c == '(' ? ')' : c == '[' ? ']' : '}';
      } else if (c == ')' || c == ']' || c == '}') {
        if (open.empty() || open.back() != c) fail(at, fmt::format("unexpected \"{}\"", text));
        open.pop_back();
      }
      push(TokenKind::kOperator, at, std::string(text));
      return;
    }
    fail(at, fmt::format("unexpected character \"{}\"", source_[at]));
  }

  /// Digits of `base` with single underscores between them; true when there was one.
  bool digits(std::string& out, int base, std::size_t& at) const {
    const auto is_one = [&](char c) {
      const char lower = static_cast<char>(c | 0x20);
      return base == 16 ? is_digit(c) || (lower >= 'a' && lower <= 'f')
                        : c >= '0' && c < '0' + base;
    };
    const std::size_t before = out.size();
    while (at < source_.size()) {
      if (is_one(source_[at])) {
        out += source_[at++];
      } else if (source_[at] == '_' && at + 1 < source_.size() && is_one(source_[at + 1]) &&
                 (out.size() > before || base != 10)) {
        ++at;
      } else {
        break;
      }
    }
    return out.size() > before;
  }

  void number() {
    const std::size_t at = at_;
    std::string text;
    std::size_t next = at;
    const bool after_dot = at > 0 && source_[at - 1] == '.';
    if (!after_dot) {
      digits(text, 10, next);
      bool is_float = false;
      if (next + 1 < source_.size() && source_[next] == '.' && is_digit(source_[next + 1])) {
        text += source_[next++];
        digits(text, 10, next);
        is_float = true;
      }
      if (next < source_.size() && (source_[next] | 0x20) == 'e') {
        std::string exponent = "e";
        std::size_t after = next + 1;
        if (after < source_.size() && (source_[after] == '+' || source_[after] == '-'))
          exponent += source_[after++];
        if (digits(exponent, 10, after)) {
          text += exponent;
          next = after;
          is_float = true;
        }
      }
      if (is_float) {
        at_ = next;
        Token& token = push(TokenKind::kFloat, at, {});
        token.number = std::strtod(text.c_str(), nullptr);  // infinite when too large, as in Python
        return;
      }
    }
    int base = 10;
    next = at;
    text.clear();
    if (source_[at] == '0') {
      const char mark = at + 1 < source_.size() ? static_cast<char>(source_[at + 1] | 0x20) : '\0';
      const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
      std::size_t after = at + 2;
      if (marked != 10 && digits(text, marked, after)) {
        base = marked;
        next = after;
      } else {
        text.push_back('0');
        for (++next; next < source_.size() && source_[next] == '0'; ++next) {
        }
      }
    } else {
      digits(text, 10, next);
    }
    at_ = next;
    Token& token = push(TokenKind::kInteger, at, {});
    if (std::from_chars(text.data(), text.data() + text.size(), token.integer, base).ec !=
        std::errc())
      fail(at, "this integer is beyond 64 bits");
  }

  void string(char quote) {
    const std::size_t at = at_++;
    std::string text;
    while (true) {
      if (at_ >= source_.size()) fail(at, "a string without its closing quote");
      const char c = source_[at_++];
      if (c == quote) break;
      if (c == '\\') {
        escape(text);
      } else {
        text += c;
      }
    }
    push(TokenKind::kString, at, std::move(text));
  }

  /// Behind a backslash: Python's escapes.
  void escape(std::string& out) {
    const std::size_t at = at_ - 1;
    if (at_ >= source_.size()) fail(at, "a string without its closing quote");
    const char c = source_[at_++];
    static constexpr std::string_view kLetters = "\\'\"abfnrtv";
    static constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos) {
      out += kMeanings[known];
    } else if (c == '\n') {
      return;
    } else if (c >= '0' && c <= '7') {
      char32_t code = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++i)
        code = code * 8 + static_cast<char32_t>(source_[at_++] - '0');
      append_utf8(out, code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::string hex = source_.substr(at_, count);
      std::uint32_t code = 0;
      const auto result = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
      if (hex.size() < count || result.ptr != hex.data() + count || code > 0x10FFFF ||
          (code >= 0xD800 && code < 0xE000))
        fail(at, "not a code point");
      at_ += count;
      append_utf8(out, code);
    } else if (c == 'N') {
      fail(at, "\\N escapes are not supported");
    } else {
      out += '\\';
      out += c;  // further bytes of a longer code point follow by themselves
    }
  }

  std::string_view name_;
  std::string source_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;
  Position here_;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

}  // namespace nativo::text::jinja
