// What the matchers of find_spans share. Internal to text/protected_spans.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace nativo::text {

inline constexpr std::size_t kNoSpan = std::string_view::npos;
/// Inline matchers look no further ahead, so that a scan stays linear in practice.
inline constexpr std::size_t kSpanReach = 4096;

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_alpha(char c) { return is_lower(c) || is_upper(c); }
inline bool is_plain(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }
inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline char char_at(std::string_view text, std::size_t i) {
  return i < text.size() ? text[i] : '\0';
}
inline bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}
/// A letter, digit or underscore, or a byte of a letter of another alphabet.
inline bool is_word_byte(char c) { return is_plain(c) || static_cast<unsigned char>(c) >= 0x80; }

/// Position of `needle` at or after `from` before the paragraph ends, at most kSpanReach away.
inline std::size_t find_near(std::string_view text, std::string_view needle, std::size_t from) {
  const std::string_view window = text.substr(std::min(from, text.size()), kSpanReach);
  const std::size_t found = window.find(needle);
  if (found == kNoSpan || window.substr(0, found).find("\n\n") != kNoSpan) return kNoSpan;
  return from + found;
}

/// Searches to the end of the text, and remembers what is not there.
class FarSearch {
 public:
  explicit FarSearch(std::string_view text) : text_(text) {}

  std::size_t find(const std::string& needle, std::size_t from) {
    if (absent_.contains(needle)) return kNoSpan;
    const std::size_t found = text_.find(needle, from);
    if (found == kNoSpan) absent_.insert(needle);
    return found;
  }

 private:
  std::string_view text_;
  std::set<std::string> absent_;
};

}  // namespace nativo::text
