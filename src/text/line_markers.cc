#include "text/line_markers.h"

#include "text/span_chars.h"

namespace nativo::text {
namespace {

/// End of a bullet, number or letter of a list at `k`, or `k`.
std::size_t list_marker(std::string_view text, std::size_t k, std::size_t end) {
  const std::string_view rest = text.substr(k, end - k);
  if (rest[0] == '-' || rest[0] == '*' || rest[0] == '+') return k + 1;
  for (const std::string_view bullet : {"•", "◦", "▪", "‣", "·", "–", "—"}) {
    if (rest.starts_with(bullet)) return k + bullet.size();
  }
  const bool bracket = rest[0] == '(';
  std::size_t digits = k + (bracket ? 1 : 0);
  const std::size_t begin = digits;
  while (digits < end && digits < begin + 4 && is_digit(text[digits])) ++digits;
  if (digits == begin && is_alpha(char_at(text, begin))) {
    if (bracket) {  // (a), (iv)
      while (digits < end && digits < begin + 4 && is_lower(text[digits])) ++digits;
      if (digits > begin + 1 &&
          text.substr(begin, digits - begin).find_first_not_of("ivx") != kNoSpan) {
        return k;
      }
    } else {
      ++digits;
    }
  }
  if (digits == begin || digits >= end) return k;
  if (text[digits] != ')' && (bracket || text[digits] != '.')) return k;
  if (text[digits] == '.' && text[begin] == 'I') return k;
  return digits + 1;
}

}  // namespace

std::size_t after_line_markers(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t i = begin;
  for (;;) {
    while (i < end && is_line_blank(text[i])) ++i;
    if (i >= end) return end;
    std::size_t k = i;
    if (text[k] == '>') {
      ++k;
    } else if (text[k] == '#') {
      while (k < end && text[k] == '#') ++k;
    } else {
      k = list_marker(text, k, end);
    }
    if (k == i || k >= end || !is_line_blank(text[k])) return i;
    i = k;
  }
}

}  // namespace nativo::text
