#include "text/glossary.h"

#include <fmt/core.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "base/strings.h"
#include "io/lines.h"
#include "text/span_chars.h"

namespace nativo::text {
namespace {

/// The code point at `i`, which is moved behind it; negative for bytes that are none.
UChar32 next_char(std::string_view text, std::size_t& i) {
  const std::string_view window = text.substr(i, 4);
  std::int32_t k = 0;
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), k,
          static_cast<std::int32_t>(window.size()), c);
  i += static_cast<std::size_t>(k);
  return c;
}
/// The code point that ends at `i` (> 0).
UChar32 previous_char(std::string_view text, std::size_t i) {
  std::size_t begin = i - 1;
  while (begin > 0 && i - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
    --begin;
  }
  return next_char(text, begin);
}
void append(std::string& text, UChar32 c) {
  char bytes[4];
  std::int32_t length = 0;
  U8_APPEND_UNSAFE(reinterpret_cast<std::uint8_t*>(bytes), length, c);
  text.append(bytes, static_cast<std::size_t>(length));
}
bool is_blank(UChar32 c) { return c == ' ' || c == '\t' || c == 0xA0 || c == 0x202F; }
bool is_word_char(UChar32 c) { return c == '_' || (c >= 0 && u_isalnum(c)); }
UChar32 fold(UChar32 c) { return u_foldCase(c, U_FOLD_CASE_DEFAULT); }

/// Letters and digits at `i`, case folded.
std::string first_word(std::string_view text, std::size_t i) {
  std::string word;
  while (i < text.size()) {
    const UChar32 c = next_char(text, i);
    if (!is_word_char(c)) {
      if (word.empty() && c >= 0 && !is_blank(c)) {
        append(word, c);  // ".NET"
      }
      break;
    }
    append(word, fold(c));
  }
  return word;
}

/// End of `term` at byte `i` of `text`, or npos.
std::size_t match_term(std::string_view text, std::size_t i, std::string_view term,
                       bool match_case) {
  std::size_t k = 0;
  while (k < term.size()) {
    if (i >= text.size()) return kNoSpan;
    const UChar32 wanted = next_char(term, k);
    UChar32 c = next_char(text, i);
    if (wanted == ' ') {
      if (!is_blank(c)) return kNoSpan;
      for (std::size_t behind = i; behind < text.size(); i = behind) {
        c = next_char(text, behind);
        if (!is_blank(c)) break;
      }
      continue;
    }
    if (c < 0 || (c != wanted && (match_case || fold(c) != fold(wanted)))) return kNoSpan;
  }
  return i;
}

/// `text` without blanks at its ends and with one blank for each row of them.
std::string with_single_blanks(std::string_view text) {
  std::string out;
  for (const char c : trim(text)) {
    const bool blank = is_space(c);
    if (!blank || (!out.empty() && out.back() != ' ')) out += blank ? ' ' : c;
  }
  return out;
}

}  // namespace

bool are_whole_words(std::string_view text, std::size_t begin, std::size_t end) {
  const auto letter_at = [&](std::size_t i) {
    return i < text.size() && is_word_char(next_char(text, i));
  };
  if (begin > 0) {
    const UChar32 before = previous_char(text, begin);
    if (is_word_char(before)) return false;
    if (before == '-' && begin > 1 && is_word_char(previous_char(text, begin - 1))) return false;
  }
  if (end >= text.size()) return true;
  std::size_t behind = end;
  const UChar32 after = next_char(text, behind);
  if (is_word_char(after) || after == '\'' || after == 0x2019) {
    const bool quote = (after == '\'' || after == 0x2019) && !letter_at(behind);
    return quote;
  }
  if (after == '-' || after == '.' || after == '@') return !letter_at(behind);
  return true;
}

Glossary Glossary::parse(std::string_view bytes, const std::string& file) {
  Glossary glossary;
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  std::size_t number = 0;
  std::unordered_map<std::string, std::size_t> lines;
  for (std::string_view line : split(bytes, '\n')) {
    ++number;
    const auto fail = [&](const std::string& what, const std::string& hint) {
      throw Error(ExitCode::kData, fmt::format("{}:{}: {}", file, number, what), hint);
    };
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim(line).empty() || line.starts_with('#')) continue;
    if (!is_valid_utf8(line)) fail("not UTF-8", "save the glossary as UTF-8");
    const std::vector<std::string_view> columns = split(line, '\t');
    GlossaryEntry entry;
    entry.source = with_single_blanks(columns[0]);
    if (columns.size() > 1) entry.target = with_single_blanks(columns[1]);
    bool keep = false;
    if (columns.size() > 2 && !trim(columns[2]).empty()) {
      for (const std::string_view raw : split(columns[2], ',')) {
        const std::string flag(trim(raw));
        if (flag == "case") {
          entry.match_case = true;
        } else if (flag == "keep") {
          keep = true;
        } else if (flag != "word") {
          const std::string near = nearest(flag, {"case", "keep", "word"});
          fail(fmt::format("unknown flag \"{}\"", printable(flag)),
               near.empty() ? "flags are: case, keep, word"
                            : fmt::format("did you mean \"{}\"?", near));
        }
      }
    }
    if (entry.source.empty()) fail("no term", "a line is: source TAB target");
    if (keep && !entry.target.empty() && entry.target != entry.source) {
      fail(fmt::format("\"{}\" has the flag keep and another target", printable(entry.source)),
           "leave the target empty, or the flag out");
    }
    if (keep) entry.target = entry.source;
    if (entry.target.empty()) {
      fail(fmt::format("no target for \"{}\"", printable(entry.source)),
           "a line is: source TAB target; a name that stays has the flag keep");
    }
    for (const std::string* term : {&entry.source, &entry.target}) {
      if (term->find_first_of("\x01\x02\x03\x04\x05\x06\x07\x08\x0B\x0C\x0E\x0F\x10\x11\x12\x13"
                              "\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F") !=
              std::string::npos ||
          term->find('\0') != std::string::npos) {
        fail("a control character in a term", "remove it");
      }
    }
    std::size_t first = 0;
    if (const UChar32 c = next_char(entry.source, first); !is_word_char(c) && c != '.') {
      fail(fmt::format("\"{}\" begins with no letter or digit", printable(entry.source)),
           "terms are whole words");
    }
    const std::string key = entry.source + (entry.match_case ? "\t1" : "\t0");
    const auto [known, fresh] = lines.emplace(key, glossary.entries_.size());
    if (!fresh) {
      if (glossary.entries_[known->second].target != entry.target) {
        fail(fmt::format("a second target for \"{}\"", printable(entry.source)),
             fmt::format("the first was \"{}\"",
                         printable(glossary.entries_[known->second].target)));
      }
      continue;
    }
    glossary.entries_.push_back(std::move(entry));
  }
  glossary.index();
  return glossary;
}

Glossary Glossary::load(const std::filesystem::path& path) {
  return parse(io::read_decompressed(path, std::uint64_t{256} << 20), path.string());
}

void Glossary::index() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    by_word_[first_word(entries_[i].source, 0)].push_back(i);
  }
  for (auto& [word, numbers] : by_word_) {
    std::ranges::stable_sort(numbers, [&](std::size_t a, std::size_t b) {
      const GlossaryEntry& x = entries_[a];
      const GlossaryEntry& y = entries_[b];
      if (x.source.size() != y.source.size()) return x.source.size() > y.source.size();
      return x.match_case && !y.match_case;
    });
  }
}

GlossaryMatch Glossary::match(std::string_view text, std::size_t i) const {
  if (entries_.empty()) return {};
  const auto found = by_word_.find(first_word(text, i));
  if (found == by_word_.end()) return {};
  for (const std::size_t number : found->second) {
    const GlossaryEntry& entry = entries_[number];
    const std::size_t end = match_term(text, i, entry.source, entry.match_case);
    if (end != kNoSpan && are_whole_words(text, i, end)) return {end, &entry};
  }
  return {};
}

std::string in_case_of(const GlossaryEntry& entry, std::string_view occurrence) {
  std::size_t letters = 0;
  bool all_upper = true;
  for (std::size_t i = 0; i < occurrence.size();) {
    const UChar32 c = next_char(occurrence, i);
    if (c < 0 || !u_isalpha(c)) continue;
    ++letters;
    all_upper = all_upper && u_isupper(c);
  }
  const auto first_is_upper = [](std::string_view text) {
    std::size_t i = 0;
    return !text.empty() && u_isupper(next_char(text, i));
  };
  std::size_t source_upper = 0;
  for (std::size_t i = 0; i < entry.source.size();) {
    if (u_isupper(next_char(entry.source, i))) ++source_upper;
  }
  if (entry.target == entry.source || entry.match_case) return entry.target;
  std::string out;
  const bool shout = all_upper && letters > 1 && source_upper < letters;
  const bool capital = first_is_upper(occurrence) && !first_is_upper(entry.source);
  for (std::size_t i = 0; i < entry.target.size();) {
    const bool first = i == 0;
    const UChar32 c = next_char(entry.target, i);
    if (c < 0) return entry.target;
    append(out, shout || (capital && first) ? u_toupper(c) : c);
  }
  return out;
}

}  // namespace nativo::text
