#include "text/line_wraps.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/strings.h"
#include "text/line_markers.h"
#include "text/span_chars.h"

namespace nativo::text {
namespace {

constexpr std::size_t kNarrowest = 45;
constexpr std::size_t kNarrowestPair = 60;  ///< two lines are little evidence
constexpr std::size_t kWidest = 120;

struct Line {
  std::string_view quote;  ///< "> " and the like before its text, the last blanks left out
  std::size_t begin;       ///< of its text, behind indentation
  std::size_t end;         ///< of its text, before blanks at its end
  std::size_t width = 0;
  bool marked = false;    ///< begins with a list marker
  bool joins_up = false;  ///< may go on what the line before began
  bool goes_on = false;   ///< may be gone on by the next line
};

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// a-z, or à-ÿ but ÷.
bool begins_lower(std::string_view text) {
  if (is_lower(char_at(text, 0))) return true;
  const auto second = static_cast<unsigned char>(char_at(text, 1));
  return char_at(text, 0) == '\xC3' && second >= 0xA0 && second != 0xB7;
}

/// A sentence may be over here.
bool ends_sentence(std::string_view text) {
  while (!text.empty() && is_one_of(text.back(), "\"')]*_`")) text.remove_suffix(1);
  if (text.ends_with("”") || text.ends_with("»") || text.ends_with("’")) return true;
  return text.empty() || is_one_of(text.back(), ".!?;") || text.ends_with("…");
}

bool begins_like_text(std::string_view text) {
  const char c = char_at(text, 0);
  if (is_word_byte(c) && static_cast<unsigned char>(c) < 0x80) return true;
  if (is_one_of(c, "\"'([`*$") || text.starts_with("“") || text.starts_with("«")) return true;
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xC3 && byte < 0xE2;  // letters; no bullets, arrows, emoji
}

class WrapFinder {
 public:
  WrapFinder(std::string_view text, std::span<const Span> spans) : text_(text), spans_(spans) {}

  std::vector<LineWrap> run() {
    std::vector<Line> paragraph;
    for (std::size_t begin = 0; begin <= text_.size();) {
      const std::size_t end = std::min(text_.find('\n', begin), text_.size());
      const Line line = look_at(begin, end);
      if (paragraph.empty() || !paragraph.back().goes_on || !line.joins_up ||
          paragraph.back().quote != line.quote) {
        judge(paragraph);
        paragraph.clear();
      }
      paragraph.push_back(line);
      begin = end + 1;
    }
    judge(paragraph);
    return std::move(wraps_);
  }

 private:
  Line look_at(std::size_t begin, std::size_t end) {
    const std::size_t quoted = after_quote_marks(begin, end);
    const std::size_t indent_end = text_.find_first_not_of(" \t\r\v\f", quoted);
    Line line{text_.substr(begin, quoted - begin), std::min(indent_end, end), end};
    while (line.end > line.begin && is_line_blank(text_[line.end - 1])) --line.end;
    const bool wrap_inside = inside_span(end);
    const std::string_view content = text_.substr(line.begin, line.end - line.begin);
    if (content.empty() || structured(begin, end, content)) return line;
    line.width = characters(content) + (line.begin - begin);
    const std::size_t behind = after_line_markers(text_, line.begin, end);
    line.marked = behind != line.begin;
    line.joins_up = !line.marked && begins_like_text(content);
    const std::string_view tail = text_.substr(line.end, end - line.end);
    const bool hard = tail.starts_with("  ") || content.ends_with("\\");
    line.goes_on = !hard && !wrap_inside && !is_one_of(content.back(), ":->|");
    return line;
  }

  /// Behind the last of the line's quote marks, each with a blank behind it; `begin` when it has
  /// none.
  [[nodiscard]] std::size_t after_quote_marks(std::size_t begin, std::size_t end) const {
    std::size_t behind = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (text_[i] == '>' && i + 1 < end && is_line_blank(text_[i + 1])) {
        behind = i + 1;
      } else if (!is_line_blank(text_[i])) {
        break;
      }
    }
    return behind;
  }

  /// The byte at `i` lies in a span; asked with growing `i`.
  bool inside_span(std::size_t i) {
    while (next_ < spans_.size() && spans_[next_].end <= i) ++next_;
    return next_ < spans_.size() && spans_[next_].begin <= i;
  }

  /// Heading, row of a table, rule, or a line that a block or an interface's own marks
  /// touch.
  bool structured(std::size_t begin, std::size_t end, std::string_view content) const {
    if (is_one_of(content.front(), "#>|<=") || std::ranges::count(content, '|') > 1) return true;
    if (std::ranges::none_of(content, [](char c) { return is_word_byte(c); })) return true;
    const auto first = std::lower_bound(spans_.begin(), spans_.end(), begin,
                                        [](const Span& s, std::size_t at) { return s.end <= at; });
    for (auto span = first; span != spans_.end() && span->begin < end; ++span) {
      if (is_block(span->kind) || span->kind == SpanKind::kMessageFormat ||
          span->kind == SpanKind::kLiteral) {
        return true;
      }
    }
    return false;
  }

  std::string_view content(const Line& line) const {
    return text_.substr(line.begin, line.end - line.begin);
  }

  void judge(const std::vector<Line>& lines) {
    if (lines.size() < 2) return;
    std::size_t width = 0;
    for (const Line& line : lines) width = std::max(width, line.width);
    if (width < (lines.size() == 2 ? kNarrowestPair : kNarrowest) || width > kWidest) return;
    bool evidence = false;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
      const std::string_view next = content(lines[i + 1]);
      const std::string_view word = next.substr(0, next.find_first_of(" \t"));
      if (lines[i].width + 1 + characters(word) <= width) return;
      evidence = evidence || (begins_lower(next) && !ends_sentence(content(lines[i])));
    }
    if (!evidence) return;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
      wraps_.push_back({lines[i].end, lines[i + 1].begin});
    }
  }

  std::string_view text_;
  std::span<const Span> spans_;
  std::size_t next_ = 0;
  std::vector<LineWrap> wraps_;
};

/// The spaces of a line where it may be broken, with the characters before each.
struct Space {
  std::size_t at;
  double before;
};

std::vector<Space> spaces_of(std::string_view line) {
  const std::vector<Span> spans = find_spans(line);
  std::size_t next = 0;
  std::size_t before = 0;
  std::vector<Space> spaces;
  const std::size_t markers = after_line_markers(line, 0, line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xC0) == 0x80) continue;
    ++before;
    if (i < markers) continue;
    while (next < spans.size() && spans[next].end <= i) ++next;
    const bool inside = next < spans.size() && spans[next].begin <= i;
    if (line[i] != ' ' || inside || i == 0 || is_line_blank(line[i - 1])) continue;
    const std::string_view rest = line.substr(i + 1);
    if (begins_like_text(rest) && after_line_markers(rest, 0, rest.size()) == 0) {
      spaces.push_back({i, static_cast<double>(before - 1)});
    }
  }
  return spaces;
}

std::string broken(std::string_view line, std::span<const Unwrapped::Break> breaks) {
  const std::vector<Space> spaces = spaces_of(line);
  const auto length = static_cast<double>(characters(line));
  std::string result;
  std::size_t copied = 0;
  std::size_t first = 0;
  for (std::size_t b = 0; b < breaks.size() && first < spaces.size(); ++b) {
    const std::size_t still = std::min(breaks.size() - b, spaces.size() - first);
    const auto begin = spaces.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = spaces.end() - static_cast<std::ptrdiff_t>(still - 1);
    const double wanted = breaks[b].place * length;
    const auto nearest = std::min_element(begin, end, [&](const Space& x, const Space& y) {
      return std::abs(x.before - wanted) < std::abs(y.before - wanted);
    });
    result += line.substr(copied, nearest->at - copied);
    result += breaks[b].bytes;
    copied = nearest->at + 1;
    first = static_cast<std::size_t>(nearest - spaces.begin()) + 1;
  }
  return result.append(line.substr(copied));
}

}  // namespace

std::vector<LineWrap> find_line_wraps(std::string_view text, std::span<const Span> spans) {
  return text.find('\n') == std::string_view::npos ? std::vector<LineWrap>()
                                                   : WrapFinder(text, spans).run();
}

Unwrapped unwrap_lines(std::string_view text, std::span<const Span> spans) {
  Unwrapped made;
  std::size_t copied = 0;
  std::size_t number = 0;
  std::size_t in_line = 0;  // characters of made.text behind its last line break
  for (const LineWrap& wrap : find_line_wraps(text, spans)) {
    const std::string_view between = text.substr(copied, wrap.begin - copied);
    number += static_cast<std::size_t>(std::ranges::count(between, '\n'));
    const std::size_t newline = between.rfind('\n');
    if (newline != std::string_view::npos) in_line = 0;
    in_line += characters(between.substr(newline + 1));  // npos + 1 = 0
    made.text += between;
    if (made.lines.empty() || made.lines.back().number != number) {
      made.lines.push_back({number, {}});
    }
    // For now the characters before it; divided by those of the line below.
    made.lines.back().breaks.push_back({std::string(text.substr(wrap.begin, wrap.end - wrap.begin)),
                                        static_cast<double>(in_line)});
    made.text += ' ';
    ++in_line;
    copied = wrap.end;
  }
  made.text += text.substr(copied);
  if (made.lines.empty()) return made;
  const std::vector<std::string_view> lines = split(made.text, '\n');
  for (Unwrapped::Line& line : made.lines) {
    const auto length = static_cast<double>(characters(lines[line.number]));
    for (Unwrapped::Break& one : line.breaks) one.place /= length;
  }
  return made;
}

std::string rewrap_lines(std::string_view result, const Unwrapped& source) {
  if (source.lines.empty() ||
      std::ranges::count(result, '\n') != std::ranges::count(source.text, '\n')) {
    return std::string(result);
  }
  const std::vector<std::string_view> lines = split(result, '\n');
  std::string wrapped;
  auto next = source.lines.begin();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) wrapped += '\n';
    if (next != source.lines.end() && next->number == i) {
      wrapped += broken(lines[i], next->breaks);
      ++next;
    } else {
      wrapped += lines[i];
    }
  }
  return verify_protected(result, wrapped).ok() ? wrapped : std::string(result);
}

}  // namespace nativo::text
