// What is cut from texts at ingest, and how a book becomes passages.
#include <algorithm>

#include "base/strings.h"
#include "data/shapes.h"

namespace nativo::data {
namespace {

/// Offset behind the line that begins at `begin` (behind its '\n', or the end).
std::size_t next_line(std::string_view text, std::size_t begin) {
  const std::size_t end = text.find('\n', begin);
  return end == std::string_view::npos ? text.size() : end + 1;
}

bool is_front_matter_key(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  return std::ranges::all_of(line.substr(0, colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

/// Begin of the line that holds `mark` at its begin, or npos.
std::size_t find_line(std::string_view text, std::string_view mark, std::size_t from) {
  for (std::size_t at = text.find(mark, from); at != std::string_view::npos;
       at = text.find(mark, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') return at;
  }
  return std::string_view::npos;
}

/// Joins the lines of prose that was wrapped at a fixed width: all lines but the last are long.
std::string unwrapped(std::string_view paragraph) {
  constexpr std::size_t kLongLine = 50;  // Gutenberg wraps at 72; verses and headings are shorter
  const std::vector<std::string_view> lines = split(paragraph, '\n');
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    if (lines[i].size() < kLongLine || lines[i].starts_with(' ')) return std::string(paragraph);
  }
  std::string joined;
  for (const std::string_view line : lines) {
    if (!joined.empty()) joined += ' ';
    joined += trim(line);
  }
  return joined;
}

/// Looks at no more of `text` than it must: a book may be one paragraph.
bool is_longer(std::string_view text, std::size_t characters) {
  return text.size() > 4 * characters || count_code_points(text) > characters;
}

/// Where to cut `text`, which is too long, at or before `limit` bytes: behind a line end, a
/// sentence, a word; at worst between code points. Never 0.
std::size_t cut_point(std::string_view text, std::size_t limit) {
  const std::string_view head = utf8_prefix(text, limit);
  for (const std::string_view end : {"\n", ". ", "! ", "? ", "; ", " "}) {
    const std::size_t at = head.rfind(end);
    // The first half is not searched: it would leave scraps.
    if (at != std::string_view::npos && at >= head.size() / 2) return at + end.size();
  }
  return std::max<std::size_t>(head.size(), 1);
}

}  // namespace

std::size_t strip_calculator_marks(std::string& text) {
  const std::string_view view = text;
  std::string kept;
  std::size_t removed = 0;
  std::size_t from = 0;  // what is before it is in `kept` or was removed
  for (std::size_t at = 0; (at = view.find("<<", at)) != std::string_view::npos;) {
    const std::size_t end = view.find_first_not_of("0123456789.,+-*/=()%$ ", at + 2);
    const bool is_mark = end != std::string_view::npos && view.substr(end, 2) == ">>" &&
                         view.substr(at, end - at).find('=') != std::string_view::npos;
    if (!is_mark) {
      at += 2;
      continue;
    }
    kept += view.substr(from, at - from);
    at = from = end + 2;
    ++removed;
  }
  if (removed > 0) text = kept.append(view.substr(from));
  return removed;
}

bool strip_front_matter(std::string& text) {
  const std::string_view view = text;
  std::size_t at = next_line(view, 0);
  if (trim(view.substr(0, at)) != "---" || !view.starts_with("---")) return false;
  if (!is_front_matter_key(trim(view.substr(at, next_line(view, at) - at)))) return false;
  while (at < view.size()) {
    const std::size_t end = next_line(view, at);
    const std::string_view line = view.substr(at, end - at);
    if (line.starts_with("---") && trim(line) == "---") {
      text.erase(0, end);
      return true;
    }
    at = end;
  }
  return false;
}

std::optional<std::size_t> cut_gutenberg(std::string& text) {
  const std::string_view view = text;
  std::size_t start = find_line(view, "*** START OF", 0);
  if (start == std::string_view::npos) return std::nullopt;
  start = next_line(view, start);
  std::size_t end = find_line(view, "*** END OF", start);
  if (end == std::string_view::npos) end = view.size();
  for (const std::string_view colophon : {"End of Project Gutenberg", "End of the Project"}) {
    end = std::min(end, find_line(view, colophon, start));
  }
  const auto lines = static_cast<std::size_t>(std::ranges::count(view.substr(0, start), '\n'));
  text = text.substr(start, end - start);
  return lines;
}

std::vector<Passage> split_passages(std::string_view text, std::size_t max_characters,
                                    bool unwrap) {
  std::vector<Passage> passages;
  Passage current;
  std::size_t characters = 0;
  const auto flush = [&] {
    if (!current.text.empty()) passages.push_back(std::move(current));
    current = {};
    characters = 0;
  };
  const auto add = [&](std::string_view piece, std::size_t line) {
    const std::size_t length = count_code_points(piece);
    if (characters > 0 && characters + 2 + length > max_characters) flush();
    if (current.text.empty()) {
      current.line = line;
    } else {
      current.text += "\n\n";
      characters += 2;
    }
    current.text += piece;
    characters += length;
  };
  std::string paragraph;
  std::size_t paragraph_line = 0;
  const auto end_paragraph = [&] {
    if (unwrap) paragraph = unwrapped(paragraph);
    std::string_view rest = paragraph;
    std::size_t line = paragraph_line;
    while (is_longer(rest, max_characters)) {
      const std::size_t cut = cut_point(rest, max_characters);
      add(trim(rest.substr(0, cut)), line);
      line += static_cast<std::size_t>(std::ranges::count(rest.substr(0, cut), '\n'));
      rest.remove_prefix(cut);
      flush();
    }
    if (!trim(rest).empty()) add(rest, line);
    paragraph.clear();
  };
  std::size_t line_number = 0;
  for (std::size_t at = 0; at < text.size(); at = next_line(text, at)) {
    ++line_number;
    std::string_view line = text.substr(at, next_line(text, at) - at);
    while (!line.empty() && trim(line.substr(line.size() - 1)).empty()) line.remove_suffix(1);
    if (line.empty()) {
      end_paragraph();
      continue;
    }
    if (paragraph.empty()) {
      paragraph_line = line_number;
    } else {
      paragraph += '\n';
    }
    paragraph += line;
  }
  end_paragraph();
  flush();
  return passages;
}

}  // namespace nativo::data
