#include "text/normalize.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "text/code_lines.h"

namespace nativo::text {
namespace {

/// Longest inline code, tag or formula, in bytes: keeps a hostile line from costing its length
/// squared.
constexpr std::size_t kLongestSpan = 4096;

/// Follows ``` and ~~~ fences line by line.
class FenceTracker {
 public:
  /// True when `line` (without its end) is code or a fence itself.
  bool inside(std::string_view line) {
    std::size_t indent = 0;
    while (indent < line.size() && line[indent] == ' ') ++indent;
    const std::string_view rest = line.substr(indent);
    const char mark = rest.empty() ? '\0' : rest.front();
    std::size_t length = 0;
    if (mark == '`' || mark == '~') {
      while (length < rest.size() && rest[length] == mark) ++length;
    }
    if (open_length_ == 0) {
      // Lists indent their fences, so that any indentation opens one; an info string has no
      // backtick.
      const bool under_text = std::exchange(after_text_, !trim(rest).empty());
      if (length < 3) return false;
      if (mark == '~' && under_text && trim(rest.substr(length)).empty()) return false;
      if (mark == '`' && rest.find('`', length) != std::string_view::npos) return false;
      open_mark_ = mark;
      open_length_ = length;
      return true;
    }
    if (mark == open_mark_ && length >= open_length_ && trim(rest.substr(length)).empty()) {
      open_length_ = 0;
      after_text_ = false;
    }
    return true;
  }
  [[nodiscard]] bool open() const { return open_length_ != 0; }

 private:
  char open_mark_ = '\0';
  std::size_t open_length_ = 0;
  bool after_text_ = false;  ///< the line before was not blank
};

/// Calls `use(line, is_code)` for each line of `text`.
template <class Use>
bool for_each_line(std::string_view text, const Use& use) {
  FenceTracker fences;
  for (const std::string_view line : split(text, '\n')) use(line, fences.inside(line));
  return fences.open();
}

bool is_tag_start(std::string_view rest) {
  if (rest.size() < 3) return false;
  const char next = rest[1] == '/' ? rest[2] : rest[1];
  return (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || rest.starts_with("<!--");
}

bool is_url_char(char c) {
  return static_cast<unsigned char>(c) > ' ' && c != '<' && c != '>' && c != '"' && c != ')' &&
         c != ']' && c != '`';
}

/// Length of what is not prose at the start of `rest`, 0 when it is prose. `before` is the
/// character in front of it.
std::size_t skipped_length(std::string_view rest, char before) {
  const char c = rest.front();
  if (c == '`') {
    std::size_t ticks = 0;
    while (ticks < rest.size() && rest[ticks] == '`') ++ticks;
    const std::size_t end = rest.find(rest.substr(0, ticks), ticks);
    return end == std::string_view::npos ? 0 : end + ticks;
  }
  if (c == '$') {
    const std::string_view mark = rest.starts_with("$$") ? rest.substr(0, 2) : rest.substr(0, 1);
    const std::size_t end = rest.find(mark, mark.size());
    if (end == std::string_view::npos || end == mark.size()) return 0;
    // "$5 e $6" is money: LaTeX has no white space inside its dollars and no digit behind them.
    if (mark.size() == 1 && (rest[1] == ' ' || rest[end - 1] == ' ')) return 0;
    const std::size_t after = end + mark.size();
    if (after < rest.size() && rest[after] >= '0' && rest[after] <= '9') return 0;
    return after;
  }
  if (c == '<' && is_tag_start(rest)) {
    if (rest.starts_with("<!--")) {
      const std::size_t end = rest.find("-->");
      return end == std::string_view::npos ? 0 : end + 3;
    }
    const std::size_t end = rest.find('>');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  const bool word_before = (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z');
  if (!word_before &&
      (rest.starts_with("http://") || rest.starts_with("https://") || rest.starts_with("www.") ||
       rest.starts_with("](/") || rest.starts_with("](#") || rest.starts_with("](."))) {
    std::size_t end = c == ']' ? 2 : 1;
    while (end < rest.size() && is_url_char(rest[end])) ++end;
    return end;
  }
  return 0;
}

/// Appends the prose of one line.
void append_prose(std::string_view line, Inline code, std::string& out) {
  const std::string_view starts = code == Inline::kDrop ? "`$<hw]" : "<hw]";
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t plain = line.find_first_of(starts, at);
    const std::size_t stop = plain == std::string_view::npos ? line.size() : plain;
    out.append(line, at, stop - at);
    at = stop;
    if (at == line.size()) break;
    const std::size_t skipped =
        skipped_length(line.substr(at, kLongestSpan), at == 0 ? ' ' : line[at - 1]);
    if (skipped == 0) {
      out += line[at++];
    } else {
      out += ' ';
      at += skipped;
    }
  }
}

/// Length of a leading "---\n...\n---\n", else 0.
std::size_t front_matter_length(std::string_view text) {
  if (!text.starts_with("---\n")) return 0;
  const std::size_t end = text.find("\n---\n", 3);
  return end == std::string_view::npos ? 0 : end + 5;
}

bool is_digit(char32_t code) { return code >= '0' && code <= '9'; }

/// Appends `text` (already case-folded) with white space, and in prose punctuation, folded.
void append_folded(std::string_view text, bool is_code, std::string& out) {
  std::size_t offset = 0;
  char32_t before = ' ';  // the last visible character
  while (offset < text.size()) {
    const std::size_t begin = offset;
    const char32_t code = next_code_point(text, offset);
    bool keep = code > ' ';
    if (keep) {
      const std::uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(code));
      keep = (category & (U_GC_Z_MASK | U_GC_C_MASK)) == 0;
      if (keep && !is_code && (category & U_GC_P_MASK) != 0) {
        const bool sign = code == '-' || code == '*' || code == '/' || code == '%';
        const bool digit_after =
            offset < text.size() && is_digit(static_cast<unsigned char>(text[offset]));
        keep = sign && (is_digit(before) || digit_after);
      }
    }
    if (keep) {
      out.append(text, begin, offset - begin);
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
    if (code > ' ') before = code;
  }
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& offset) {
  constexpr char32_t kBad = 0xFFFD;
  const auto byte = [&](std::size_t i) -> char32_t { return static_cast<unsigned char>(text[i]); };
  const char32_t first = byte(offset++);
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || offset + more > text.size()) return kBad;
  char32_t code = first & (0x3FU >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if ((byte(offset + i) & 0xC0U) != 0x80U) return kBad;
    code = (code << 6U) | (byte(offset + i) & 0x3FU);
  }
  constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (code < kLeast[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return kBad;
  offset += more;
  return code;
}

std::string fold_case(std::string_view text) {
  // ICU counts in 32 bits; longer texts go through in pieces that end at a line.
  constexpr std::size_t kPiece = std::size_t{1} << 28;
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* folder = icu::Normalizer2::getNFKCCasefoldInstance(status);
  if (U_FAILURE(status)) {
    throw Error(ExitCode::kInternal, "ICU has no NFKC_Casefold data", "reinstall libicu");
  }
  std::string folded;
  folded.reserve(text.size());
  icu::StringByteSink<std::string> sink(&folded);
  while (!text.empty()) {
    std::string_view piece = text;
    if (piece.size() > kPiece) {
      piece = utf8_prefix(text, kPiece);
      if (const std::size_t line = piece.rfind('\n'); line != std::string_view::npos && line > 0) {
        piece = piece.substr(0, line + 1);
      }
      if (piece.empty()) break;
    }
    folder->normalizeUTF8(0, {piece.data(), static_cast<std::int32_t>(piece.size())}, sink, nullptr,
                          status);
    if (U_FAILURE(status)) {
      throw Error(ExitCode::kInternal, std::string("ICU cannot normalise: ") + u_errorName(status));
    }
    text.remove_prefix(piece.size());
  }
  return folded.find("\xE2\x80\x99") == std::string::npos
             ? folded
             : replace_all(folded, "\xE2\x80\x99", "'");
}

std::string fold_text(std::string_view text) {
  const std::string folded = fold_case(text);
  std::string out;
  out.reserve(folded.size());
  for_each_line(folded, [&](std::string_view line, bool is_code) {
    append_folded(line, is_code, out);
    if (!out.empty() && out.back() != ' ') out += ' ';
  });
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string prose(std::string_view text, Inline code) {
  text.remove_prefix(front_matter_length(text));
  std::string out;
  out.reserve(text.size());
  bool first = true;
  const auto runs = find_code_lines(text);
  auto run = runs.begin();
  for_each_line(text, [&](std::string_view line, bool fenced) {
    if (!first) out += '\n';
    first = false;
    const auto begin = static_cast<std::size_t>(line.data() - text.data());
    while (run != runs.end() && run->second <= begin) ++run;
    const bool unfenced = run != runs.end() && run->first <= begin;
    if (!fenced && !unfenced) append_prose(line, code, out);
  });
  return out;
}

bool fences_closed(std::string_view text) {
  return !for_each_line(text, [](std::string_view, bool) {});
}

}  // namespace nativo::text
