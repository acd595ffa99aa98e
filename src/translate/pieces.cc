#include "translate/pieces.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/strings.h"
#include "text/segments.h"
#include "text/span_chars.h"

namespace nativo::translate {
namespace {

using text::Span;

bool is_engine_text(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' && c != '\r') return false;
  }
  return is_valid_utf8(text);
}

class Cutter {
 public:
  explicit Cutter(const Prepared& message) : text_(message.text), spans_(message.spans) {}

  std::vector<Piece> run(Grain grain) {
    switch (grain) {
      case Grain::kMessage:
        stretch(0, text_.size(), true);
        break;
      case Grain::kParagraphs:
        paragraphs();
        break;
      case Grain::kSentences:
      case Grain::kBetweenSpans:
        segments(grain);
        break;
    }
    return std::move(pieces_);
  }

 private:
  void verbatim(std::size_t begin, std::size_t end) {
    if (begin < end) pieces_.push_back({text_.substr(begin, end - begin), std::nullopt});
  }

  /// Spans that lie in [begin, end).
  std::span<const Span> spans_in(std::size_t begin, std::size_t end) const {
    const auto first = std::lower_bound(spans_.begin(), spans_.end(), begin,
                                        [](const Span& s, std::size_t at) { return s.begin < at; });
    auto last = first;
    while (last != spans_.end() && last->end <= end) ++last;
    return {first, last};
  }

  void sentence(std::size_t begin, std::size_t end) {
    Sentence made{std::string(text_.substr(begin, end - begin)), {}};
    for (const Span& span : spans_in(begin, end)) {
      const std::size_t first = span.begin - begin;
      const std::size_t last = span.end - begin;
      if (!made.parts.empty()) {
        Part& before = made.parts.back();
        if (span.kind == text::SpanKind::kUnit) {
          before.end = last;
          continue;
        }
        if (before.end == first) {
          // What is no mark decides: **12** is a number, **`x`** a name.
          const bool mark = Part{first, last, span.kind}.is_mark();
          if (before.is_mark() || (before.is_number() && !mark)) before.kind = span.kind;
          before.end = last;
          continue;
        }
      }
      made.parts.push_back({first, last, span.kind});
    }
    pieces_.push_back({{}, std::move(made)});
  }

  /// White space, and blocks of code if `blocks`, stay outside what the engine sees; all of it does
  /// when no word lies outside the spans.
  void stretch(std::size_t begin, std::size_t end, bool blocks) {
    const std::span<const Span> spans = spans_in(begin, end);
    std::size_t first = begin;
    std::size_t last = end;
    std::size_t from = 0;
    std::size_t to = spans.size();
    for (bool more = true; more;) {
      const std::string_view core = trim(text_.substr(first, last - first));
      first += static_cast<std::size_t>(core.data() - (text_.data() + first));
      last = first + core.size();
      more = false;
      if (blocks && from < to && is_block(spans[from].kind) && spans[from].begin == first) {
        first = spans[from++].end;
        more = true;
      } else if (blocks && from < to && is_block(spans[to - 1].kind) && spans[to - 1].end == last) {
        last = spans[--to].begin;
        more = true;
      }
    }
    bool word = false;
    std::size_t at = first;
    for (std::size_t s = from; s <= to && !word; ++s) {
      const std::size_t stop = s < to ? spans[s].begin : last;
      word = text::has_words(text_.substr(at, stop - at));
      if (s < to) at = spans[s].end;
    }
    if (!word || !is_engine_text(text_.substr(first, last - first))) {
      verbatim(begin, end);
      return;
    }
    verbatim(begin, first);
    sentence(first, last);
    verbatim(last, end);
  }

  void paragraphs() {
    std::size_t begin = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < text_.size();) {
      if (next < spans_.size() && spans_[next].begin == i) {
        const Span& span = spans_[next++];
        if (is_block(span.kind)) {
          stretch(begin, span.begin, false);
          verbatim(span.begin, span.end);
          begin = span.end;
        }
        i = span.end;
      } else if (text_.substr(i).starts_with("\n\n") || text_.substr(i).starts_with("\n\r\n")) {
        stretch(begin, i, false);
        begin = i;
        while (i < text_.size() && (text_[i] == '\n' || text_[i] == '\r')) ++i;
      } else {
        ++i;
      }
    }
    stretch(begin, text_.size(), false);
  }

  void segments(Grain grain) {
    for (const text::Segment& segment : text::split_segments(text_, spans_)) {
      const std::string_view bytes = text_.substr(segment.begin, segment.end - segment.begin);
      if (!segment.translatable || !is_engine_text(bytes)) {
        verbatim(segment.begin, segment.end);
        continue;
      }
      if (grain == Grain::kSentences) {
        sentence(segment.begin, segment.end);
        continue;
      }
      std::size_t at = segment.begin;
      for (const Span& span : spans_in(segment.begin, segment.end)) {
        between(at, span.begin, at > segment.begin, true);
        verbatim(span.begin, span.end);
        at = span.end;
      }
      between(at, segment.end, at > segment.begin, false);
    }
  }

  /// What lies between spans; punctuation that touches a span (64-bit, ©1998, “x”) stays outside,
  /// too.
  void between(std::size_t begin, std::size_t end, bool span_before, bool span_behind) {
    std::size_t first = begin;
    std::size_t last = end;
    while (span_before && first < end && !is_word_char(first)) first = next_char(first);
    while (span_behind && last > first && !is_word_char(char_before(last)))
      last = char_before(last);
    last = std::max(first, last);
    verbatim(begin, first);
    stretch(first, last, false);
    verbatim(last, end);
  }

  [[nodiscard]] bool is_inside_char(std::size_t i) const {
    return i < text_.size() && (static_cast<unsigned char>(text_[i]) & 0xC0) == 0x80;
  }
  [[nodiscard]] std::size_t next_char(std::size_t i) const {
    do ++i;
    while (is_inside_char(i));
    return i;
  }
  [[nodiscard]] std::size_t char_before(std::size_t i) const {
    do --i;
    while (i > 0 && is_inside_char(i));
    return i;
  }
  /// Punctuation and symbols are in U+0080 to U+00BF, U+2000 to U+2FFF and U+3000 to U+303F.
  [[nodiscard]] bool is_word_char(std::size_t i) const {
    const char c = text_[i];
    if (c == '\xC2' || c == '\xE2' || text_.substr(i).starts_with("\xE3\x80")) return false;
    return text::is_word_byte(c);
  }

  std::string_view text_;
  const std::vector<Span>& spans_;
  std::vector<Piece> pieces_;
};

void add_field(std::string& key, std::string_view field) {
  key += fmt::format("{}:", field.size());
  key += field;
}

}  // namespace

std::span<const Grain> grains_of(Unit unit) {
  static constexpr std::array kOfMessages = {Grain::kMessage, Grain::kParagraphs,
                                             Grain::kBetweenSpans};
  static constexpr std::array kOfSentences = {Grain::kSentences, Grain::kBetweenSpans};
  if (unit == Unit::kMessage) return kOfMessages;
  return kOfSentences;
}

std::vector<Piece> cut(const Prepared& message, Grain grain) { return Cutter(message).run(grain); }

std::string memory_key(const Sentence& sentence) {
  std::string key = sentence.text;
  for (const Part& part : sentence.parts) {
    key += fmt::format("{}{}:{}{}", '\0', part.begin, part.end, part.is_number() ? "n" : "");
  }
  const Context* context = sentence.context;
  if (context == nullptr) return xxh128_hex(key);
  key += fmt::format("{}{}", '\0', static_cast<int>(context->formality));
  add_field(key, context->role);
  for (const Turn& turn : context->before) {
    key += '<';
    for (const std::string_view field : {turn.role, turn.source, turn.translation}) {
      add_field(key, field);
    }
  }
  for (const Term& term : context->terms) {
    key += '=';
    add_field(key, term.source);
    add_field(key, term.target);
  }
  return xxh128_hex(key);
}

}  // namespace nativo::translate
