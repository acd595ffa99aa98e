// Lines first, then markers and table cells, then what HTML and message formats separate, then
// sentences.
#include "text/segments.h"

#include <algorithm>
#include <array>
#include <string>

#include "text/line_markers.h"
#include "text/sentence_breaks.h"
#include "text/span_chars.h"

namespace nativo::text {
namespace {

/// Tags that begin or end a line of their own when shown.
bool is_block_tag(std::string_view bytes) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"address", "article", "aside",   "blockquote", "body",    "br",     "button",   "caption",
       "center",  "dd",      "details", "div",        "dl",      "dt",     "fieldset", "figcaption",
       "figure",  "footer",  "form",    "h1",         "h2",      "h3",     "h4",       "h5",
       "h6",      "head",    "header",  "hr",         "html",    "label",  "li",       "main",
       "nav",     "ol",      "option",  "p",          "section", "select", "summary",  "table",
       "tbody",   "td",      "tfoot",   "th",         "thead",   "title",  "tr",       "ul"});
  std::size_t begin = 1;
  if (char_at(bytes, 1) == '/') ++begin;
  std::size_t end = begin;
  while (is_plain(char_at(bytes, end))) ++end;
  return std::ranges::find(kNames, bytes.substr(begin, end - begin)) != kNames.end();
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
  std::string_view bytes_of(const Span& span) const {
    return text_.substr(span.begin, span.end - span.begin);
  }
  /// The span that covers byte `i`, or null; asked with growing `i`, but for short looks back.
  const Span* span_at(std::size_t i) {
    while (next_ > 0 && spans_[next_ - 1].end > i) --next_;
    while (next_ < spans_.size() && spans_[next_].end <= i) ++next_;
    return next_ < spans_.size() && spans_[next_].begin <= i ? &spans_[next_] : nullptr;
  }
  std::size_t skip_span(std::size_t i) {
    const Span* span = span_at(i);
    return span != nullptr ? span->end : i + 1;
  }
  /// `i` moved behind a span that it would cut.
  std::size_t clear_of_spans(std::size_t i) {
    if (i >= text_.size()) return text_.size();
    const Span* span = span_at(i);
    return span != nullptr && span->begin < i ? span->end : i;
  }
  /// Spans that lie in [begin, end).
  std::span<const Span> spans_in(std::size_t begin, std::size_t end) const {
    const auto first = std::lower_bound(spans_.begin(), spans_.end(), begin,
                                        [](const Span& s, std::size_t at) { return s.begin < at; });
    auto last = first;
    while (last != spans_.end() && last->end <= end) ++last;
    return {first, last};
  }

  void verbatim(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    if (!segments_.empty() && !segments_.back().translatable && segments_.back().end == begin) {
      segments_.back().end = end;
    } else {
      segments_.push_back({begin, end, false});
    }
  }

  bool has_word(std::size_t begin, std::size_t end) const {
    std::size_t at = begin;
    for (const Span& span : spans_in(begin, end)) {
      if (has_words(text_.substr(at, span.begin - at))) return true;
      at = span.end;
    }
    return has_words(text_.substr(at, end - at));
  }

  /// True when the first of `spans` opens what the last one closes.
  bool wraps(std::span<const Span> spans) const {
    std::string_view pair;
    const MarkRole role = mark_role(spans.front().kind, bytes_of(spans.front()), pair);
    if (role != MarkRole::kOpens && role != MarkRole::kToggles) return false;
    int depth = 1;
    for (std::size_t s = 1; s < spans.size(); ++s) {
      std::string_view other;
      const MarkRole next = mark_role(spans[s].kind, bytes_of(spans[s]), other);
      if (other != pair || next == MarkRole::kAlone) continue;
      if (next == MarkRole::kOpens) {
        ++depth;
      } else if (--depth == 0) {
        return s + 1 == spans.size();
      }
    }
    return false;
  }
  /// Stands alone at the edge of a sentence without a part in its grammar.
  bool is_ornament(const Span& span) const {
    if (span.kind == SpanKind::kSymbol || span.kind == SpanKind::kEscape) return true;
    std::string_view pair;
    return (span.kind == SpanKind::kMarkup || span.kind == SpanKind::kTag) &&
           mark_role(span.kind, bytes_of(span), pair) == MarkRole::kAlone &&
           !bytes_of(span).starts_with("<<");
  }

  /// One sentence or cell; white space, ornaments and marks around all of it stay outside.
  void piece(std::size_t begin, std::size_t end) {
    if (!has_word(begin, end)) {
      verbatim(begin, end);
      return;
    }
    std::size_t first = begin;
    std::size_t last = end;
    for (bool more = true; more;) {
      more = false;
      while (first < last && is_line_blank(text_[first]) && span_at(first) == nullptr) ++first;
      while (last > first && is_line_blank(text_[last - 1]) && span_at(last - 1) == nullptr) --last;
      const std::span<const Span> spans = spans_in(first, last);
      if (spans.empty()) break;
      const bool at_first = spans.front().begin == first;
      const bool at_last = spans.back().end == last;
      if (at_first && is_ornament(spans.front())) {
        first = spans.front().end;
        more = true;
      } else if (at_last && is_ornament(spans.back())) {
        last = spans.back().begin;
        more = true;
      } else if (at_first && at_last && spans.size() > 1 && wraps(spans)) {
        first = spans.front().end;
        last = spans.back().begin;
        more = true;
      }
    }
    verbatim(begin, first);
    segments_.push_back({first, last, true});
    verbatim(last, end);
  }

  void split_line(std::size_t begin, std::size_t end) {
    const std::size_t start = std::min(end, clear_of_spans(after_line_markers(text_, begin, end)));
    verbatim(begin, start);
    std::size_t stop = end;  // "## Title ##"
    if (text_.substr(begin, start - begin).find('#') != kNoSpan) {
      while (stop > start && text_[stop - 1] == '#' && span_at(stop - 1) == nullptr) --stop;
      if (stop > start && !is_line_blank(text_[stop - 1])) stop = end;
    }
    std::vector<std::size_t> bars;
    for (std::size_t i = start; i < stop; i = skip_span(i)) {
      if (text_[i] == '|' && span_at(i) == nullptr) bars.push_back(i);
    }
    if (bars.size() < 2) bars.clear();
    std::size_t cell = start;
    for (const std::size_t bar : bars) {
      stretch(cell, bar);
      verbatim(bar, bar + 1);
      cell = bar + 1;
    }
    stretch(cell, stop);
    verbatim(stop, end);
  }

  /// What lies between tags of blocks, marks of message formats and written line breaks.
  void stretch(std::size_t begin, std::size_t end) {
    std::size_t start = begin;
    for (const Span& span : spans_in(begin, end)) {
      const std::string_view bytes = bytes_of(span);
      const bool parts = span.kind == SpanKind::kMessageFormat ||
                         (span.kind == SpanKind::kTag && is_block_tag(bytes)) ||
                         (span.kind == SpanKind::kEscape && (bytes == "\\n" || bytes == "\\r"));
      if (!parts) continue;
      sentences(start, span.begin);
      verbatim(span.begin, span.end);
      start = span.end;
    }
    sentences(start, end);
  }

  void sentences(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    std::size_t start = begin;
    for (const SentenceBreak& found : find_sentence_breaks(text_, spans_, begin, end)) {
      piece(start, found.end);
      verbatim(found.end, found.next);
      start = found.next;
    }
    piece(start, end);
  }

  std::string_view text_;
  std::span<const Span> spans_;
  std::size_t next_ = 0;
  std::vector<Segment> segments_;
};

}  // namespace

bool has_words(std::string_view text) {
  std::size_t run = 0;  // letters
  char last = '\0';
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(char_at(text, i));
    if (byte >= 0x80 && byte < 0xC3) continue;  // inside a character
    const bool wide = byte >= 0xE3 && byte <= 0xED && !text.substr(i).starts_with("\xE3\x80");
    if (wide) return true;
    const bool letter = is_alpha(char_at(text, i)) || (byte >= 0xC3 && byte < 0xE2);
    if (letter && ++run == 2) return true;
    if (letter) last = text[i];
    if (!letter && run == 1 && is_one_of(last, "IaA")) return true;
    if (!letter) run = 0;
  }
  return false;
}

std::vector<Segment> split_segments(std::string_view text, std::span<const Span> spans) {
  return Splitter(text, spans).run();
}

}  // namespace nativo::text
