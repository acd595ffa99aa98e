// One pass from left to right; at each place the matchers are asked in order, the first that fits
// wins. A mark that opens something puts the mark that closes it on a list of what is to come.
#include "text/protected_spans.h"

#include <algorithm>
#include <map>
#include <string>

#include "text/code_lines.h"
#include "text/span_chars.h"
#include "text/span_markup.h"
#include "text/span_math.h"
#include "text/span_values.h"
#include "text/span_words.h"
#include "text/symbols.h"

namespace nativo::text {
namespace {

class Scanner {
 public:
  Scanner(std::string_view text, const TermAt& term_at)
      : text_(text), term_at_(term_at), far_(text), one_mnemonic_(has_underscore_mnemonic(text)) {}

  std::vector<Span> run() {
    const auto code = find_code_lines(text_);
    std::size_t next_code = 0;
    std::size_t i = 0;
    if (const std::size_t end = match_front_matter(text_); end != kNoSpan) {
      i = add(SpanKind::kFrontMatter, 0, end);
    }
    while (i < text_.size()) {
      if (i == 0 || text_[i - 1] == '\n') {
        if (const std::size_t end = match_fence(text_, i); end != kNoSpan) {
          i = add(SpanKind::kFencedCode, i, end);
          continue;
        }
        while (next_code < code.size() && code[next_code].first < i) ++next_code;
        if (next_code < code.size() && code[next_code].first == i) {
          const auto [begin, end] = code_run(i, code[next_code].second);
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
  struct Coming {
    std::size_t end;
    SpanKind kind;
  };

  std::size_t add(SpanKind kind, std::size_t begin, std::size_t end) {
    spans_.push_back({kind, begin, end});
    return end;
  }
  char at(std::size_t i) const { return char_at(text_, i); }

  /// A run of code lines without white space at its ends; a fence inside ends it.
  std::pair<std::size_t, std::size_t> code_run(std::size_t begin, std::size_t end) const {
    for (std::size_t line = begin; line < end;) {
      if (line > begin && match_fence(text_, line) != kNoSpan) {
        end = line - 1;
        break;
      }
      const std::size_t newline = text_.find('\n', line);
      line = newline == kNoSpan ? end : newline + 1;
    }
    while (end > begin && is_space(text_[end - 1])) --end;
    while (begin < end && is_space(text_[begin])) ++begin;
    return {begin, end};
  }

  /// "_File", "Save _As..": the only '_' of a menu's label.
  static bool has_underscore_mnemonic(std::string_view text) {
    const std::size_t mark = text.find('_');
    if (mark == kNoSpan || text.size() > 60 || text.find('_', mark + 1) != kNoSpan) return false;
    return text.find('\n') == kNoSpan && (mark == 0 || text[mark - 1] == ' ') &&
           is_upper(char_at(text, mark + 1)) && !is_upper(char_at(text, mark + 2));
  }

  /// The marks of a link, an emphasis or a message format at `i`; npos when there are none.
  std::size_t pair(const MarkPair& marks, std::size_t i) {
    if (marks.open_end == kNoSpan) return kNoSpan;
    if (marks.close_end > marks.open_end) {
      coming_[marks.close_begin] = {marks.close_end, SpanKind::kMarkup};
    }
    return add(SpanKind::kMarkup, i, marks.open_end);
  }
  std::size_t message_format(std::size_t i) {
    const std::vector<Span> marks = match_message_format(text_, i);
    if (marks.empty()) return kNoSpan;
    for (const Span& mark : marks) {
      if (mark.begin > i) coming_[mark.begin] = {mark.end, mark.kind};
    }
    return add(marks[0].kind, i, marks[0].end);
  }

  /// The end of a span that begins with a byte that begins no word, or npos.
  std::size_t special(std::size_t i) {
    SpanKind kind = SpanKind::kNumber;
    std::size_t end = kNoSpan;
    const auto found = [&](SpanKind what, std::size_t at_end) {
      return at_end == kNoSpan ? kNoSpan : add(what, i, at_end);
    };
    switch (text_[i]) {
      case '`':
        return found(SpanKind::kInlineCode, match_inline_code(text_, i));
      case '$':
        if ((end = match_sigil(text_, i)) != kNoSpan && !is_alpha(at(i + 1))) {
          return found(SpanKind::kPlaceholder, end);
        }
        if (const auto math = match_dollar_math(text_, i, far_); math != kNoSpan) {
          return found(SpanKind::kMath, math);
        }
        return found(SpanKind::kPlaceholder, end);
      case '@':  // a decorator, an annotation, somebody's handle
        if (!is_alpha(at(i + 1))) return kNoSpan;
        for (end = i + 1; is_plain(at(end)) || (at(end) == '.' && is_alpha(at(end + 1)));) ++end;
        return found(SpanKind::kIdentifier, end);
      case '\\':
        end = match_backslash(text_, i, far_, kind);
        return found(kind, end);
      case '<':
        return found(SpanKind::kTag, match_tag(text_, i, far_));
      case '&':
        if ((end = match_entity(text_, i)) != kNoSpan) return found(SpanKind::kEntity, end);
        return is_alpha(at(i + 1)) && (i == 0 || text_[i - 1] != '&')
                   ? found(SpanKind::kMnemonic, i + 1)
                   : kNoSpan;
      case '%':
        return found(SpanKind::kPlaceholder, match_percent(text_, i));
      case '#':
        return found(SpanKind::kPlaceholder, match_sigil(text_, i));
      case '{':
        if ((end = message_format(i)) != kNoSpan) return end;
        break;
      case '[':
        if ((end = match_bbcode(text_, i, far_)) != kNoSpan) return found(SpanKind::kTag, end);
        if ((end = pair(match_link(text_, i), i)) != kNoSpan) return end;
        break;
      case '!':
        return at(i + 1) == '[' ? pair(match_link(text_, i), i) : kNoSpan;
      case '_':
        if (one_mnemonic_) return found(SpanKind::kMnemonic, i + 1);
        return pair(match_emphasis(text_, i), i);
      case '*':
      case '~':
        return pair(match_emphasis(text_, i), i);
      default:
        return kNoSpan;
    }
    end = brackets_.match(text_, i, kind);
    return found(kind, end);
  }

  std::size_t step(std::size_t i) {
    while (!coming_.empty() && coming_.begin()->first < i) coming_.erase(coming_.begin());
    if (!coming_.empty() && coming_.begin()->first == i) {
      const Coming mark = coming_.begin()->second;
      return add(mark.kind, i, mark.end);
    }
    std::size_t end = symbol_end(text_, i);
    if (end != kNoSpan) return add(SpanKind::kSymbol, i, end);
    const bool in_word = i > 0 && is_plain(text_[i - 1]) && !behind_mark(i);
    if (!(in_word && text_[i] == '_')) {
      if ((end = special(i)) != kNoSpan) return end;
    }
    if (text_[i] == '`') {
      while (at(i) == '`') ++i;
      return i;
    }
    // A word ends where a mark that is to come begins.
    const std::string_view window =
        coming_.empty() ? text_ : text_.substr(0, coming_.begin()->first);
    if (!word_start(window, i, behind_mark(i))) {
      if (text_[i] != '_') return i + 1;
      return add(SpanKind::kIdentifier, i, std::min(skip_word(text_, i), window.size()));
    }
    SpanKind kind = SpanKind::kNumber;
    end = match_word(window, i, kind);
    if (const std::size_t term = term_at_ ? term_at_(window, i) : kNoSpan;
        term != kNoSpan && (end == kNoSpan || term >= end)) {
      return add(SpanKind::kTerm, i, term);
    }
    if (end == kNoSpan) return skip_word(window, i);
    add(kind, i, end);
    if (kind == SpanKind::kNumber) {
      const UnitRange unit = match_unit(window, end);
      if (unit.end > unit.begin) return add(SpanKind::kUnit, unit.begin, unit.end);
    }
    return end;
  }

  bool behind_mark(std::size_t i) const {
    return !spans_.empty() && spans_.back().end == i &&
           (spans_.back().kind == SpanKind::kMarkup || spans_.back().kind == SpanKind::kMnemonic ||
            spans_.back().kind == SpanKind::kEscape ||
            spans_.back().kind == SpanKind::kMessageFormat);
  }

  std::string_view text_;
  const TermAt& term_at_;
  FarSearch far_;
  BracketMatcher brackets_;
  std::vector<Span> spans_;
  std::map<std::size_t, Coming> coming_;
  bool one_mnemonic_;
};

}  // namespace

std::string_view span_kind_name(SpanKind kind) {
  switch (kind) {
    case SpanKind::kFrontMatter:
      return "front_matter";
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
    case SpanKind::kMessageFormat:
      return "message_format";
    case SpanKind::kTag:
      return "tag";
    case SpanKind::kEntity:
      return "entity";
    case SpanKind::kMarkup:
      return "markup";
    case SpanKind::kLiteral:
      return "literal";
    case SpanKind::kPath:
      return "path";
    case SpanKind::kIdentifier:
      return "identifier";
    case SpanKind::kEscape:
      return "escape";
    case SpanKind::kMnemonic:
      return "mnemonic";
    case SpanKind::kSymbol:
      return "symbol";
    case SpanKind::kTerm:
      return "term";
    case SpanKind::kNumber:
      return "number";
    case SpanKind::kUnit:
      return "unit";
  }
  return "unknown";
}

std::vector<Span> find_spans(std::string_view text, const TermAt& term_at) {
  return Scanner(text, term_at).run();
}

}  // namespace nativo::text
