#include "translate/italian.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "base/strings.h"
#include "translate/italian_words.h"

namespace nativo::translate {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) {
  return is_lower(c) || is_upper(c) || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t first_letter(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && !is_letter(text[i]) && !(text[i] >= '0' && text[i] <= '9')) ++i;
  return i;
}

/// Replaces whole words only.
void replace_words(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    const bool left = at == 0 || !is_letter(text[at - 1]);
    const std::size_t end = at + from.size();
    const bool right = end >= text.size() || !is_letter(text[end]);
    if (left && right) {
      text.replace(at, from.size(), to);
    } else {
      at += from.size() - std::min(from.size(), to.size());
    }
  }
}

void tidy_spaces(std::string_view source, std::string& text) {
  const bool doubled = source.find("  ") != std::string_view::npos;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' && !doubled && (out.empty() || out.back() == ' ')) continue;
    if (!out.empty() && out.back() == ' ' &&
        std::string_view(",.;:!?)").find(text[i]) != std::string_view::npos) {
      const bool alone = i + 1 >= text.size() || text[i + 1] == ' ';
      const std::string pair = {' ', text[i]};
      if (alone && source.find(pair) == std::string_view::npos) out.pop_back();
    }
    out += text[i];
  }
  while (!out.empty() && out.back() == ' ' && !source.ends_with(' ')) out.pop_back();
  text = std::move(out);
}

}  // namespace

std::string_view italian_for_spanish(std::string_view word) {
  const auto found = std::lower_bound(
      kItalianWords.begin(), kItalianWords.end(), word,
      [](const WordPair& pair, std::string_view wanted) { return pair.spanish < wanted; });
  return found != kItalianWords.end() && found->spanish == word ? found->italian
                                                                : std::string_view();
}

std::string prepare_spanish(std::string_view stream) {
  return replace_all(replace_all(stream, "EE.UU.", "Estados Unidos"), "EE.UU", "Estados Unidos");
}

std::string finish_italian(std::string_view source, std::string text) {
  for (const auto& [from, to] : kItalianPhrases) replace_words(text, from, to);
  tidy_spaces(source, text);
  const std::size_t in = first_letter(source);
  const std::size_t out = first_letter(text);
  if (in < source.size() && out < text.size()) {
    if (is_upper(source[in]) && is_lower(text[out])) {
      text[out] = static_cast<char>(text[out] - 'a' + 'A');
    } else if (is_upper(source[in]) && text.compare(out, 2, "è") == 0) {
      text.replace(out, 2, "È");
    } else if (is_lower(source[in]) && is_upper(text[out]) && out + 1 < text.size() &&
               (is_lower(text[out + 1]) || text[out + 1] == ' ')) {
      text[out] = static_cast<char>(text[out] - 'A' + 'a');
    }
  }
  return text;
}

std::string italian_rules_digest() {
  std::string all = "1";
  for (const auto& [spanish, italian] : kItalianWords) {
    all += std::string(spanish) + "=" + std::string(italian) + ";";
  }
  for (const auto& [from, to] : kItalianPhrases) all += std::string(from) + ">" + std::string(to);
  return xxh128_hex(all);
}

}  // namespace nativo::translate
