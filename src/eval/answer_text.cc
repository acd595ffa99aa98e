#include "eval/answer_text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/strings.h"
#include "text/normalize.h"
#include "text/white_space.h"

namespace nativo::eval {
namespace {

using text::is_white_space;

constexpr std::array<std::string_view, 15> kArticles = {"il",    "lo",    "la",  "i",     "gli",
                                                        "le",    "un",    "uno", "una",   "del",
                                                        "dello", "della", "dei", "degli", "delle"};

/// Python's \w of one character.
bool is_word(UChar32 c) {
  return c == '_' || (U_MASK(u_charType(c)) & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}

bool is_ascii_punctuation(UChar32 c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

std::string lower(std::string_view text) {
  std::string out;
  icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())))
      .toLower(icu::Locale::getRoot())
      .toUTF8String(out);
  return out;
}

/// Calls visit(code point, its bytes) for each character; a byte that is not UTF-8 comes as U+FFFD.
template <class Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const auto c = static_cast<UChar32>(text::next_code_point(text, at));
    visit(c, text.substr(start, at - start));
  }
}

/// Runs of word characters that are articles become one space; all else stays.
std::string without_articles(std::string_view text) {
  std::string out;
  std::string word;
  const auto flush = [&] {
    out += std::ranges::find(kArticles, word) != kArticles.end() ? " " : word;
    word.clear();
  };
  for_each_character(text, [&](UChar32 c, std::string_view bytes) {
    if (is_word(c)) {
      word += bytes;
    } else {
      flush();
      out += bytes;
    }
  });
  flush();
  return out;
}

std::vector<std::string> words(std::string_view answer) {
  const std::vector<std::string_view> all = text::split_white_space(answer);
  return {all.begin(), all.end()};
}

double f1_of(const std::vector<std::string>& answer, const std::vector<std::string>& gold) {
  if (answer.empty() || gold.empty()) return answer.empty() && gold.empty() ? 1.0 : 0.0;
  std::map<std::string_view, int> counts;
  for (const std::string& word : gold) ++counts[word];
  int common = 0;
  for (const std::string& word : answer) {
    if (const auto found = counts.find(word); found != counts.end() && found->second-- > 0)
      ++common;
  }
  return 2.0 * common / static_cast<double>(answer.size() + gold.size());
}

}  // namespace

std::size_t trailing_space(std::string_view text) {
  std::size_t space = 0;
  for_each_character(text, [&](UChar32 c, std::string_view bytes) {
    space = is_white_space(c) ? space + bytes.size() : 0;
  });
  return space;
}

std::string_view strip(std::string_view text) {
  text.remove_suffix(trailing_space(text));
  std::size_t space = 0;
  bool leading = true;
  for_each_character(text, [&](UChar32 c, std::string_view bytes) {
    leading = leading && is_white_space(c);
    if (leading) space += bytes.size();
  });
  text.remove_prefix(space);
  return text;
}

std::string_view drop_last(std::string_view text) {
  std::size_t last = 0;
  for_each_character(text, [&](UChar32, std::string_view bytes) { last = bytes.size(); });
  text.remove_suffix(last);
  return text;
}

std::string lower_first(std::string_view text) {
  std::size_t first = 0;
  for_each_character(text, [&](UChar32, std::string_view bytes) {
    if (first == 0) first = bytes.size();
  });
  return lower(text.substr(0, first)).append(text.substr(first));
}

std::string normalize_answer(std::string_view text) {
  std::string plain;
  for_each_character(lower(text), [&](UChar32 c, std::string_view bytes) {
    if (!is_ascii_punctuation(c)) plain += bytes;
  });
  std::string out;
  for (const std::string& word : words(without_articles(plain))) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

double exact_match(std::string_view answer, const std::vector<std::string>& golds) {
  const std::string normal = normalize_answer(answer);
  return std::ranges::any_of(
             golds, [&](const std::string& gold) { return normalize_answer(gold) == normal; })
             ? 1.0
             : 0.0;
}

double f1(std::string_view answer, const std::vector<std::string>& golds) {
  const std::vector<std::string> answered = words(normalize_answer(answer));
  double best = 0.0;
  for (const std::string& gold : golds) {
    best = std::max(best, f1_of(answered, words(normalize_answer(gold))));
  }
  return best;
}

std::string first_sentence(std::string_view text) {
  return std::string(strip(text.substr(0, text.find('.'))));
}

std::string clean_wikihow(std::string_view text) {
  const std::string titled = replace_all(strip(text), " [title]", ". ");
  std::string out;
  // `\[.*?\]`: up to the first closing bracket of the same line.
  for (std::size_t at = 0; at < titled.size();) {
    const std::size_t open = std::min(titled.find('[', at), titled.size());
    const std::size_t end = std::min(titled.find_first_of("]\n", open), titled.size());
    const bool closed = end < titled.size() && titled[end] == ']';
    // Without a closing bracket no other one opened on this line closes either.
    out.append(titled, at, (closed ? open : end) - at);
    at = closed ? end + 1 : end;
    if (!closed && at < titled.size()) out += titled[at++];
  }
  return replace_all(out, "  ", " ");
}

}  // namespace nativo::eval
