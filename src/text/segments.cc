// Lines first, then markers and table cells, then sentences.
#include "text/segments.h"

#include <algorithm>
#include <array>
#include <string>

namespace nativo::text {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0xC3;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/// True when the word that ends at `dot` (a '.') is an abbreviation after which a sentence goes on.
bool is_abbreviation(std::string_view text, std::size_t dot) {
  std::size_t begin = dot;
  while (begin > 0 && (is_letter(text[begin - 1]) || text[begin - 1] == '.')) --begin;
  const std::string_view word = text.substr(begin, dot - begin);
  if (word.size() == 1 && word[0] >= 'A' && word[0] <= 'Z') return word[0] != 'I';  // "J. Smith"
  constexpr std::array<std::string_view, 18> kWords = {"Mr",  "Mrs", "Ms",     "Dr",  "Prof", "St",
                                                       "vs",  "No",  "Fig",    "Jr",  "Sr",   "e.g",
                                                       "i.e", "cf",  "approx", "Gen", "Col",  "Eq"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

class Splitter {
 public:
  Splitter(std::string_view text, std::span<const Span> spans) : text_(text), spans_(spans) {}

  std::vector<Segment> run() {
    std::size_t position = 0;
    while (position < text_.size()) {
      std::size_t end = position;
      while (end < text_.size() && text_[end] != '\n') end = skip_span(end);
      split_line(position, end);
      position = end;
      while (position < text_.size() && text_[position] == '\n') ++position;
      verbatim(end, position);
    }
    return std::move(segments_);
  }

 private:
  /// The end of the span that holds `i`, or i + 1.
  std::size_t skip_span(std::size_t i) {
    while (next_ > 0 && spans_[next_ - 1].end > i) --next_;
    while (next_ < spans_.size() && spans_[next_].end <= i) ++next_;
    if (next_ < spans_.size() && spans_[next_].begin <= i) return spans_[next_].end;
    return i + 1;
  }
  bool in_span(std::size_t i) { return skip_span(i) != i + 1 || starts_span(i); }
  bool starts_span(std::size_t i) const {
    return next_ < spans_.size() && spans_[next_].begin <= i && i < spans_[next_].end;
  }
  /// `i` moved behind a span that it would cut.
  std::size_t clear_of_spans(std::size_t i) {
    if (i >= text_.size()) return text_.size();
    const std::size_t end = skip_span(i);
    return starts_span(i) && spans_[next_].begin < i ? end : i;
  }

  void verbatim(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    if (!segments_.empty() && !segments_.back().translatable && segments_.back().end == begin) {
      segments_.back().end = end;
    } else {
      segments_.push_back({begin, end, false});
    }
  }

  /// One sentence or cell; white space around it stays outside.
  void piece(std::size_t begin, std::size_t end) {
    std::size_t first = begin;
    while (first < end && is_blank(text_[first]) && !in_span(first)) ++first;
    std::size_t last = end;
    while (last > first && is_blank(text_[last - 1]) && !in_span(last - 1)) --last;
    bool word = false;
    for (std::size_t i = first; i < last && !word;) {
      const std::size_t next = skip_span(i);
      word = !starts_span(i) && is_letter(text_[i]) &&
             (text_[i] == 'I' || text_[i] == 'a' || text_[i] == 'A' ||
              (i + 1 < last && is_letter(text_[i + 1])));
      i = next;
    }
    if (!word) {
      verbatim(begin, end);
      return;
    }
    verbatim(begin, first);
    segments_.push_back({first, last, true});
    verbatim(last, end);
  }

  /// Behind indentation, quote marks, heading and list markers.
  std::size_t after_markers(std::size_t begin, std::size_t end) {
    std::size_t i = begin;
    for (;;) {
      std::size_t k = i;
      while (k < end && is_blank(text_[k])) ++k;
      i = k;
      if (k >= end) return end;
      if (text_[k] == '>') {
        ++k;
      } else if (text_[k] == '#') {
        while (k < end && text_[k] == '#') ++k;
      } else if (text_[k] == '-' || text_[k] == '*' || text_[k] == '+') {
        ++k;
      } else if (text_.substr(k).starts_with("•") || text_.substr(k).starts_with("–")) {
        k += 3;
      } else {
        std::size_t digits = k;
        while (digits < end && digits < k + 4 && is_digit(text_[digits])) ++digits;
        if (digits == k && is_letter(text_[k]) && static_cast<unsigned char>(text_[k]) < 0x80) {
          ++digits;
        }
        if (digits == k || digits >= end || (text_[digits] != '.' && text_[digits] != ')'))
          return i;
        if (!is_digit(text_[k]) && text_[digits] == '.' && text_[k] == 'I') return i;
        k = digits + 1;
      }
      if (k >= end || !is_blank(text_[k])) return i;
      i = k;
    }
  }

  void split_line(std::size_t begin, std::size_t end) {
    const std::size_t start = std::min(end, clear_of_spans(after_markers(begin, end)));
    verbatim(begin, start);
    std::vector<std::size_t> bars;
    for (std::size_t i = start; i < end; i = skip_span(i)) {
      if (text_[i] == '|' && !in_span(i)) bars.push_back(i);
    }
    if (bars.size() < 2) {
      sentences(start, end);
      return;
    }
    std::size_t cell = start;
    for (const std::size_t bar : bars) {
      sentences(cell, bar);
      verbatim(bar, bar + 1);
      cell = bar + 1;
    }
    sentences(cell, end);
  }

  void sentences(std::size_t begin, std::size_t end) {
    std::size_t start = begin;
    for (std::size_t i = begin; i < end;) {
      const std::size_t next = std::min(end, skip_span(i));
      const char c = text_[i];
      if (starts_span(i) || (c != '.' && c != '!' && c != '?')) {
        i = next;
        continue;
      }
      std::size_t k = i + 1;
      while (k < end && std::string_view(".!?\"')]*_").find(text_[k]) != std::string_view::npos &&
             !in_span(k)) {
        ++k;
      }
      std::size_t word = k;
      while (word < end && is_blank(text_[word]) && !in_span(word)) ++word;
      const bool starts = word < end && (!(text_[word] >= 'a' && text_[word] <= 'z'));
      if (word > k && starts && !(c == '.' && k == i + 1 && is_abbreviation(text_, i))) {
        piece(start, k);
        verbatim(k, word);
        start = word;
        i = word;
      } else {
        i = std::max(k, next);
      }
    }
    piece(start, end);
  }

  std::string_view text_;
  std::span<const Span> spans_;
  std::size_t next_ = 0;
  std::vector<Segment> segments_;
};

}  // namespace

std::vector<Segment> split_segments(std::string_view text, std::span<const Span> spans) {
  return Splitter(text, spans).run();
}

}  // namespace nativo::text
