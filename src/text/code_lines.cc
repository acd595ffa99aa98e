// Strong lines are code by themselves; weak ones (blank, indented, closing brackets, comments) only
// between or right after strong ones. What stands between two strong lines and does not end like a
// sentence is code too: a shell command, a "with open(..) as file:".
#include "text/code_lines.h"

#include <array>

#include "base/strings.h"

namespace nativo::text {
namespace {

enum class LineKind { kProse, kBlank, kWeak, kStrong };

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool has_any(std::string_view text, std::string_view characters) {
  return text.find_first_of(characters) != std::string_view::npos;
}

/// "name = value", "a.b[0] += 1"; prose such as "Total = 5 + 3" starts with a capital.
bool is_assignment(std::string_view line) {
  std::size_t i = 0;
  if (!line.empty() && line[0] == '$') ++i;  // PHP, Perl
  if (i >= line.size() || !((line[i] >= 'a' && line[i] <= 'z') || line[i] == '_')) return false;
  while (i < line.size() && (is_word(line[i]) || has_any(line.substr(i, 1), ".[]'\","))) ++i;
  if (i < line.size() && line[i] == ' ') ++i;
  if (i < line.size() && has_any(line.substr(i, 1), "+-*/:|")) ++i;
  return i + 1 < line.size() && line[i] == '=' && line[i + 1] != '=';
}

/// "print(x)", "client.connect(host, port);"
bool is_call(std::string_view line) {
  for (const std::string_view plural : {"(i)", "(e)", "(o)", "(a)", "(s)", "(es)"}) {
    if (line.ends_with(plural)) return false;
  }
  std::size_t i = 0;
  while (i < line.size() && (is_word(line[i]) || line[i] == '.' || line[i] == ':')) ++i;
  if (i < 2 || i >= line.size() || line[i] != '(') return false;
  return line.back() == ')' || line.ends_with(");");
}

bool is_statement(std::string_view line) {
  constexpr std::array<std::string_view, 19> kStarts = {
      "#include ",       "#!/",        "#define ", "<?php",          "public ",
      "private ",        "protected ", "const ",   "let ",           "var ",
      "using namespace", "if (",       "for (",    "while (",        "} else",
      "else if (",       "elif ",      "std::",    "async function "};
  for (const std::string_view start : kStarts) {
    if (line.starts_with(start) &&
        (start[0] == '#' || start[0] == '<' || start[0] == '}' || has_any(line, "(){}=;:<>"))) {
      return true;
    }
  }
  const bool header = line.ends_with(":") || line.ends_with("{");
  if ((line.starts_with("def ") || line.starts_with("function ") || line.starts_with("class ")) &&
      (header || line.ends_with("}") || line.ends_with(");"))) {
    return has_any(line, "({") || line.starts_with("class ");
  }
  if (line.starts_with("import ") || line.starts_with("from ")) {
    const bool from = line.starts_with("from ");
    return !has_any(line, ".!?") || line.ends_with(";")
               ? (from ? line.find(" import ") != std::string_view::npos
                       : line.find(' ', 7) == std::string_view::npos ||
                             line.find(" as ") != std::string_view::npos || has_any(line, ";{'\""))
               : !line.ends_with(".") && from && line.find(" import ") != std::string_view::npos;
  }
  constexpr std::array<std::string_view, 6> kSql = {"SELECT ",      "INSERT INTO ", "CREATE TABLE ",
                                                    "DELETE FROM ", "ALTER TABLE ", "UPDATE "};
  for (const std::string_view start : kSql) {
    if (line.starts_with(start)) return has_any(line, ";(=*_,") || line.ends_with(";");
  }
  return false;
}

/// Six or more words and little else; what stands in braces ({ -brand }, {name}) is not counted.
bool reads_like_prose(std::string_view line) {
  std::size_t words = 0;
  std::size_t letters = 0;
  std::size_t others = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '{') {
      const std::size_t close = line.find('}', i);
      if (close != std::string_view::npos && close - i < 60) i = close;
      continue;
    }
    const bool letter = is_word(line[i]) || static_cast<unsigned char>(line[i]) >= 0x80;
    if (letter && (i == 0 || line[i - 1] == ' ')) ++words;
    if (letter) ++letters;
    if (!letter && !has_any(line.substr(i, 1), " ,.'")) ++others;
  }
  return words >= 6 && others * 12 <= letters;
}

/// "Welcome (back), {name}"
bool ends_with_placeholder(std::string_view line) {
  const std::size_t open = line.rfind('{');
  if (!line.ends_with("}") || open == std::string_view::npos || open + 2 >= line.size())
    return false;
  for (std::size_t i = open + 1; i + 1 < line.size(); ++i) {
    if (!is_word(line[i])) return false;
  }
  return open > 0 && line[open - 1] == ' ' && !has_any(line, "=;");
}

/// Text without its tags: two words with a space between them.
bool has_prose_between_tags(std::string_view line) {
  bool inside = false;
  std::size_t run = 0;
  std::size_t words = 0;
  for (const char c : line) {
    if (c == '<') inside = true;
    const bool letter = !inside && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
    run = letter ? run + 1 : 0;
    if (run == 2) ++words;
    if (c == '>') inside = false;
  }
  return words >= 2;
}

/// A line that is tags: "<div>", "<td>12</td>". "<empty>" and "<b>Some words</b>" are prose.
LineKind markup_line(std::string_view line) {
  if (has_prose_between_tags(line)) return LineKind::kWeak;
  const bool word = line.find_first_of(" =/!?-", 1) == std::string_view::npos;
  constexpr std::array<std::string_view, 20> kElements = {
      "<html>",  "<head>",  "<body>", "<div>", "<p>",    "<ul>",   "<ol>",
      "<li>",    "<table>", "<tr>",   "<td>",  "<th>",   "<form>", "<script>",
      "<style>", "<nav>",   "<main>", "<svg>", "<span>", "<pre>"};
  if (word) {
    for (const std::string_view element : kElements) {
      if (line == element) return LineKind::kStrong;
    }
    return LineKind::kProse;
  }
  return line.substr(0, line.find('>')).find_first_of("=/!?-:") == std::string_view::npos &&
                 line.find("</") == std::string_view::npos
             ? LineKind::kProse
             : LineKind::kStrong;
}

LineKind classify(std::string_view raw) {
  const std::string_view line = trim(raw);
  if (line.empty()) return LineKind::kBlank;
  if (line.find_first_not_of("(){}[];,<>") == std::string_view::npos) return LineKind::kWeak;
  if (is_statement(line) || is_assignment(line) || is_call(line)) return LineKind::kStrong;
  const bool fluent = line.find("{ -") != std::string_view::npos ||
                      line.find("{ $") != std::string_view::npos;  // placeholders of Fluent
  const bool link = line.find("](") != std::string_view::npos;
  if (!fluent && !link && !ends_with_placeholder(line) && !reads_like_prose(line)) {
    if (line.ends_with(";") && has_any(line, "(){}=<>[]")) return LineKind::kStrong;
    if ((line.ends_with("{") || line.ends_with("}")) && has_any(line, "();=")) {
      return LineKind::kStrong;
    }
  }
  if ((line.ends_with(":") && line.starts_with("with ") && line.find(" as ") != line.npos) ||
      line.starts_with("except ")) {
    return LineKind::kStrong;
  }
  if (line.ends_with("):") && is_word(line[0]) && line.find(". ") == std::string_view::npos &&
      (line.starts_with("if ") || line.starts_with("for ") || line.starts_with("while "))) {
    return LineKind::kStrong;
  }
  if (line.front() == '<' && line.back() == '>' && line.size() > 2 &&
      (is_word(line[1]) || line[1] == '/' || line[1] == '!')) {
    return markup_line(line);
  }
  const bool indented = raw.starts_with("  ") || raw.starts_with("\t");
  const bool list = line.size() > 1 && has_any(line.substr(0, 1), "-*+0123456789") &&
                    (line[1] == ' ' || has_any(line.substr(0, 4), ".)"));
  if (indented && !list) return LineKind::kWeak;
  if (line.starts_with("# ") || line.starts_with("//") || line.starts_with("/*") ||
      line.starts_with("else:") || line.starts_with("try:") || line.starts_with("except") ||
      line.starts_with("end") || line.starts_with("@")) {
    return has_any(line.substr(0, 1), "#/@") || line.size() < 24 ? LineKind::kWeak
                                                                 : LineKind::kProse;
  }
  return LineKind::kProse;
}

struct Line {
  std::size_t begin;
  std::size_t end;
  LineKind kind;
};

bool ends_like_a_sentence(std::string_view line) {
  line = trim(line);
  return line.ends_with(".") || line.ends_with("?") || line.ends_with("!");
}

/// Makes weak the up to three lines between strong ones that are neither blank nor end a sentence.
void fill_gaps(std::string_view text, std::vector<Line>& lines) {
  constexpr std::size_t kWidestGap = 3;
  std::size_t last_strong = lines.size();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].kind != LineKind::kStrong) continue;
    const bool near = last_strong < i && i - last_strong <= kWidestGap + 1;
    for (std::size_t k = near ? last_strong + 1 : i; k < i; ++k) {
      const std::string_view line = text.substr(lines[k].begin, lines[k].end - lines[k].begin);
      if (lines[k].kind == LineKind::kProse && !ends_like_a_sentence(line) &&
          !reads_like_prose(line)) {
        lines[k].kind = LineKind::kWeak;
      }
    }
    last_strong = i;
  }
}

}  // namespace

std::vector<std::pair<std::size_t, std::size_t>> find_code_lines(std::string_view text) {
  std::vector<Line> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) end = text.size();
    lines.push_back({begin, end, classify(text.substr(begin, end - begin))});
    begin = end + 1;
  }
  fill_gaps(text, lines);
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  for (std::size_t i = 0; i < lines.size();) {
    if (lines[i].kind != LineKind::kStrong) {
      ++i;
      continue;
    }
    std::size_t last = i;
    std::size_t blanks = 0;
    for (std::size_t k = i + 1; k < lines.size(); ++k) {
      if (lines[k].kind == LineKind::kStrong) {
        last = k;
        blanks = 0;
      } else if (lines[k].kind == LineKind::kBlank) {
        if (++blanks > 2) break;
      } else if (lines[k].kind == LineKind::kWeak) {
        last = k;
        blanks = 0;
      } else {
        break;
      }
    }
    runs.emplace_back(lines[i].begin, lines[last].end);
    i = last + 1;
  }
  return runs;
}

}  // namespace nativo::text
