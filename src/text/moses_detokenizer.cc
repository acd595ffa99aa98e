#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/strings.h"
#include "text/moses_rules.h"
#include "text/moses_tokenizer.h"

namespace nativo::text {
namespace {

using moses::classes_of;

/// Escapes in the order in which they are undone.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kEscapes = {{
    {"&bar;", "|"},
    {"&#124;", "|"},
    {"&lt;", "<"},
    {"&gt;", ">"},
    {"&bra;", "["},
    {"&ket;", "]"},
    {"&quot;", "\""},
    {"&apos;", "'"},
    {"&#91;", "["},
    {"&#93;", "]"},
    {"&amp;", "&"},
}};

/// Scripts that put no space between words: sacremoses/util.py, which leaves out both ends.
bool is_cjk(char32_t c) {
  constexpr std::array<std::pair<char32_t, char32_t>, 11> kRanges = {{{0x1100, 0x11FF},
                                                                      {0x2E80, 0xA4CF},
                                                                      {0xA840, 0xA87F},
                                                                      {0xAC00, 0xD7AF},
                                                                      {0xF900, 0xFAFF},
                                                                      {0xFE30, 0xFE4F},
                                                                      {0xFF65, 0xFFDC},
                                                                      {0x17000, 0x18AFF},
                                                                      {0x1B000, 0x1B12F},
                                                                      {0x1B170, 0x1B2FF},
                                                                      {0x20000, 0x2FFFF}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return range.first < c && c < range.second; });
}

bool all_of(std::u32string_view word, std::u32string_view letters, std::uint32_t classes = 0) {
  return std::all_of(word.begin(), word.end(), [&](char32_t c) {
    return letters.find(c) != letters.npos || (classes_of(c) & classes) != 0;
  });
}

bool is_alpha(char32_t c) { return (classes_of(c) & moses::kLetter) != 0; }

class Joiner {
 public:
  Joiner(std::vector<std::u32string> words, std::string_view lang)
      : words_(std::move(words)), lang_(lang) {}

  std::u32string join() {
    for (std::size_t i = 0; i < words_.size(); ++i) add(i);
    moses::collapse_spaces(text_);
    return std::u32string(moses::strip(text_));
  }

 private:
  enum class Space { kNone, kBefore };

  void put(const std::u32string& word, Space before, bool space_after) {
    if (before == Space::kBefore && space_) text_ += U' ';
    text_ += word;
    space_ = space_after;
  }

  void add(std::size_t i) {
    const std::u32string& word = words_[i];
    if (is_cjk(word.front()) && lang_ != "ko") {
      const bool after_cjk = i > 0 && is_cjk(words_[i - 1].back());
      put(word, after_cjk ? Space::kNone : Space::kBefore, true);
    } else if (all_of(word, U"([{¿¡", moses::kCurrency)) {
      put(word, Space::kBefore, false);
    } else if (all_of(word, U",.?!:;\\%}])")) {
      if (lang_ == "fr" && word.size() == 1 && all_of(word, U"?!:;\\%")) text_ += U' ';
      put(word, Space::kNone, true);
    } else if (lang_ == "en" && i > 0 && word.size() > 1 && word[0] == U'\'' && is_alpha(word[1])) {
      put(word, Space::kNone, true);
    } else if (is_elision(i)) {
      put(word, Space::kBefore, false);
    } else if (all_of(word, U"'\"„“`")) {
      add_quote(i);
    } else {
      put(word, Space::kBefore, true);
    }
  }

  /// French and Italian "l'" before a letter.
  [[nodiscard]] bool is_elision(std::size_t i) const {
    const std::u32string& word = words_[i];
    return (lang_ == "fr" || lang_ == "it" || lang_ == "ga") && i + 1 < words_.size() &&
           word.size() > 1 && word.back() == U'\'' && is_alpha(word[word.size() - 2]) &&
           is_alpha(words_[i + 1].front());
  }

  /// Quotes open and close in turns.
  void add_quote(std::size_t i) {
    const std::u32string& word = words_[i];
    int& count = quotes_[all_of(word, U"„“") ? U"\"" : word];
    if (count % 2 == 1) {
      put(word, Space::kNone, true);
      ++count;
    } else if (lang_ == "en" && word == U"'" && i > 0 && words_[i - 1].back() == U's') {
      put(word, Space::kNone, true);  // the Jones' house
    } else {
      put(word, Space::kBefore, false);
      ++count;
    }
  }

  std::vector<std::u32string> words_;
  std::string_view lang_;
  std::u32string text_;
  bool space_ = true;  ///< the next word may stand apart
  std::map<std::u32string, int> quotes_;
};

}  // namespace

std::string moses_detokenize(std::span<const std::string> tokens, std::string_view lang) {
  std::string text = " ";
  for (const std::string& token : tokens) text += token + ' ';
  text = replace_all(text, " @-@ ", "-");
  for (const auto& [escape, letter] : kEscapes) text = replace_all(text, escape, letter);
  return moses::to_utf8(Joiner(moses::words(moses::to_letters(text)), lang).join());
}

}  // namespace nativo::text
