#include "text/sentence_breaks.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

#include "text/abbreviations.h"
#include "text/span_chars.h"

namespace nativo::text {
namespace {

constexpr UChar32 kEllipsis = 0x2026;

class Breaker {
 public:
  Breaker(std::string_view text, std::span<const Span> spans, std::size_t begin, std::size_t end)
      : text_(text), spans_(spans), begin_(begin), end_(end) {
    next_ = static_cast<std::size_t>(
        std::lower_bound(spans.begin(), spans.end(), begin,
                         [](const Span& s, std::size_t at) { return s.end <= at; }) -
        spans.begin());
  }

  std::vector<SentenceBreak> run() {
    for (std::size_t i = begin_; i < end_;) {
      if (const Span* span = span_at(i)) {
        i = span->end;
        continue;
      }
      std::size_t after = i;
      const UChar32 c = read(after);
      if (!is_terminator(c)) {
        i = after;
        continue;
      }
      i = terminator(i, after, c);
    }
    return std::move(breaks_);
  }

 private:
  /// The span that covers byte `i`; asked with growing `i`, but for short looks ahead.
  const Span* span_at(std::size_t i) {
    while (next_ > 0 && spans_[next_ - 1].end > i) --next_;
    while (next_ < spans_.size() && spans_[next_].end <= i) ++next_;
    return next_ < spans_.size() && spans_[next_].begin <= i ? &spans_[next_] : nullptr;
  }

  /// The code point at `i`, which is moved behind it.
  UChar32 read(std::size_t& i) const {
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (byte < 0x80) {
      ++i;
      return byte;
    }
    const std::string_view window = text_.substr(i, 4);
    std::int32_t k = 0;
    UChar32 c = 0;
    U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), k,
            static_cast<std::int32_t>(window.size()), c);
    i += static_cast<std::size_t>(k);
    return c;
  }

  static USentenceBreak class_of(UChar32 c) {
    if (c < 0) return U_SB_OTHER;
    return static_cast<USentenceBreak>(u_getIntPropertyValue(c, UCHAR_SENTENCE_BREAK));
  }
  static bool is_terminator(UChar32 c) {
    if (c < 0x80) return c == '.' || c == '!' || c == '?';
    if (c == kEllipsis) return true;
    const USentenceBreak sb = class_of(c);
    return sb == U_SB_STERM || sb == U_SB_ATERM;
  }
  static bool is_blank(UChar32 c) {
    return c == ' ' || c == '\t' || c == '\r' || (c >= 0x80 && class_of(c) == U_SB_SP);
  }
  static bool is_close(UChar32 c) {
    return c == '*' || c == '_' || c == '~' || c == '\'' || class_of(c) == U_SB_CLOSE;
  }
  bool closes(const Span& span) const {
    std::string_view pair;
    const MarkRole role =
        mark_role(span.kind, text_.substr(span.begin, span.end - span.begin), pair);
    return role == MarkRole::kCloses || role == MarkRole::kToggles ||
           (span.kind == SpanKind::kMarkup && role == MarkRole::kAlone) ||
           span.kind == SpanKind::kEntity || span.kind == SpanKind::kLiteral;
  }

  /// Looks at the terminator `c` in [i, after); where to go on.
  std::size_t terminator(std::size_t i, std::size_t after, UChar32 c) {
    const std::size_t first = i;
    bool single = true;                       // one full stop and nothing else
    bool wide = c >= 0x80 && c != kEllipsis;  // 。 needs no space
    std::size_t k = after;
    bool closed = false;
    while (k < end_) {
      if (const Span* span = span_at(k)) {
        if (!closes(*span)) break;
        k = span->end;
        closed = true;
        continue;
      }
      std::size_t behind = k;
      const UChar32 next = read(behind);
      if (!closed && is_terminator(next)) {
        single = false;
        wide = wide || (next >= 0x80 && next != kEllipsis);
      } else if (is_close(next)) {
        closed = true;
      } else {
        break;
      }
      k = behind;
    }
    std::size_t word = k;
    while (word < end_ && span_at(word) == nullptr) {
      std::size_t behind = word;
      if (!is_blank(read(behind))) break;
      word = behind;
    }
    if (word >= end_ || (word == k && !wide)) return std::max(k, after);
    if (!begins_sentence(word)) return word;
    if (c == '.' && single && !closed &&
        goes_on_after(text_, first, text_.substr(word, end_ - word))) {
      return word;
    }
    breaks_.push_back({k, word});
    return word;
  }

  /// False when what follows says that the sentence goes on: a lower-case letter behind any opening
  /// marks, a comma, a dash.
  bool begins_sentence(std::size_t i) {
    for (int looked = 0; i < end_ && looked < 8; ++looked) {
      if (const Span* span = span_at(i)) {
        std::string_view pair;
        const MarkRole role =
            mark_role(span->kind, text_.substr(span->begin, span->end - span->begin), pair);
        if (role == MarkRole::kAlone || role == MarkRole::kCloses) return true;
        i = span->end;
        continue;
      }
      const UChar32 c = read(i);
      switch (class_of(c)) {
        case U_SB_LOWER:
        case U_SB_SCONTINUE:
          return false;
        case U_SB_CLOSE:
          break;
        default:
          if (is_one_of(static_cast<char>(c), "*_~") && c < 0x80) break;
          if (c == 0xBF || c == 0xA1) break;
          return true;
      }
    }
    return true;
  }

  std::string_view text_;
  std::span<const Span> spans_;
  std::size_t begin_;
  std::size_t end_;
  std::size_t next_ = 0;
  std::vector<SentenceBreak> breaks_;
};

}  // namespace

std::vector<SentenceBreak> find_sentence_breaks(std::string_view text, std::span<const Span> spans,
                                                std::size_t begin, std::size_t end) {
  return Breaker(text, spans, begin, end).run();
}

}  // namespace nativo::text
