#include "text/moses_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "text/embedded.h"
#include "text/moses_rules.h"

namespace nativo::text {
namespace {

using moses::group;
using moses::kAlpha;
using moses::kNumber;
using moses::Place;
using moses::substitute;

/// A row of n full stops, as one letter that is in no class.
constexpr char32_t kFullStops = 0x200000;

const Place kNoNumber(kNumber, true);
const Place kNoAlpha(kAlpha, true);
const Place kNoAlphaOrNumber(kAlpha | kNumber, true);

void clean(std::u32string& text) {
  std::u32string out;
  for (const char32_t c : text) {
    if ((moses::classes_of(c) & moses::kSpace) != 0) {
      if (out.empty() || out.back() != U' ') out += U' ';
    } else if (c >= U' ') {
      out += c;
    }
  }
  text = moses::strip(out);
}

void set_marks_apart(std::u32string& text, std::uint32_t alnum) {
  std::u32string out;
  for (const char32_t c : text) {
    const bool stays = (moses::classes_of(c) & (alnum | moses::kSpace)) != 0 || c == U'.' ||
                       c == U'\'' || c == U'`' || c == U',' || c == U'-';
    if (!stays) out += U' ';
    out += c;
    if (!stays) out += U' ';
  }
  text = std::move(out);
}

void hide_rows_of_full_stops(std::u32string& text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && text[end] == U'.') ++end;
    if (end < i + 2) {
      out += text[i++];
      continue;
    }
    out += U' ';
    out += kFullStops + static_cast<char32_t>(end - i);
    if (end < text.size()) out += U' ';
    i = end;
  }
  text = std::move(out);
}

void set_commas_apart(std::u32string& text) {
  substitute(text, {kNoNumber, U','}, std::u32string{group(0), U' ', U',', U' '});
  substitute(text, {U',', kNoNumber}, std::u32string{U' ', U',', U' ', group(1)});
  if (text.size() >= 2 && text.back() == U',' && !kNoNumber.fits(text[text.size() - 2])) {
    text.insert(text.size() - 1, 1, U' ');
    text += U' ';
  }
}

const std::u32string kApart{group(0), U' ', U'\'', U' ', group(2)};
const std::u32string kToTheNext{group(0), U' ', U'\'', group(2)};
const std::u32string kToTheLast{group(0), U'\'', U' ', group(2)};

void english_apostrophes(std::u32string& text) {
  substitute(text, {kNoAlpha, U'\'', kNoAlpha}, kApart);
  substitute(text, {kNoAlphaOrNumber, U'\'', kAlpha}, kApart);
  substitute(text, {kAlpha, U'\'', kNoAlpha}, kApart);
  substitute(text, {kAlpha, U'\'', kAlpha}, kToTheNext);
  substitute(text, {kNumber, U'\'', U's'}, kToTheNext);
}

void french_apostrophes(std::u32string& text) {
  substitute(text, {kNoAlpha, U'\'', kNoAlpha}, kApart);
  substitute(text, {kNoAlpha, U'\'', kAlpha}, kApart);
  substitute(text, {kAlpha, U'\'', kNoAlpha}, kApart);
  substitute(text, {kAlpha, U'\'', kAlpha}, kToTheLast);
}

/// UTF-8, rows of full stops shown, XML's characters escaped.
std::string shown(std::u32string_view word) {
  std::u32string out;
  for (const char32_t c : word) {
    if (c >= kFullStops) {
      out.append(c - kFullStops, U'.');
      continue;
    }
    switch (c) {
      case U'&':
        out += U"&amp;";
        break;
      case U'|':
        out += U"&#124;";
        break;
      case U'<':
        out += U"&lt;";
        break;
      case U'>':
        out += U"&gt;";
        break;
      case U'\'':
        out += U"&apos;";
        break;
      case U'"':
        out += U"&quot;";
        break;
      case U'[':
        out += U"&#91;";
        break;
      case U']':
        out += U"&#93;";
        break;
      default:
        out += c;
    }
  }
  return moses::to_utf8(out);
}

std::string_view line_of(std::string_view lang) {
  for (std::string_view rest = embedded::moses_prefixes(); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!line.starts_with('#') && line.substr(0, line.find('\t')) == lang) return line;
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return {};
}

}  // namespace

MosesTokenizer::MosesTokenizer(std::string_view lang)
    : alnum_(moses::kAlnum), alpha_(moses::kAlpha) {
  if (lang == "en") apostrophe_ = Apostrophe::kEnglish;
  if (lang == "fr" || lang == "it") apostrophe_ = Apostrophe::kFrench;
  std::uint32_t more = 0;
  if (lang == "zh" || lang == "ja") more |= moses::kHan;
  if (lang == "ja") more |= moses::kKana;
  if (lang == "ko") more |= moses::kHangul;
  alnum_ |= more;
  alpha_ |= more;
  std::string_view line = line_of(lang);
  if (line.empty()) line = line_of("en");
  const std::vector<std::string_view> fields = split(line, '\t');
  NATIVO_CHECK(fields.size() == 3, "a line of moses_prefixes.txt has three fields");
  for (const std::string_view word : split(fields[1], ' ')) abbreviations_.insert(word);
  for (const std::string_view word : split(fields[2], ' ')) before_numbers_.insert(word);
}

void MosesTokenizer::separate_full_stops(std::vector<std::u32string>& words) const {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::u32string& word = words[i];
    if (word.size() < 2 || word.back() != U'.') continue;
    const std::u32string_view stem(word.data(), word.size() - 1);
    const char32_t next = i + 1 < words.size() ? words[i + 1].front() : U'\0';
    const std::string utf8 = moses::to_utf8(stem);
    const bool numbered = before_numbers_.contains(utf8);
    const bool initials =
        stem.find(U'.') != stem.npos && std::any_of(stem.begin(), stem.end(), [&](char32_t c) {
          return (moses::classes_of(c) & alpha_) != 0;
        });
    const bool keeps = initials || (abbreviations_.contains(utf8) && !numbered) ||
                       (moses::classes_of(next) & moses::kLower) != 0 ||
                       (numbered && next >= U'0' && next <= U'9');
    if (!keeps) word.insert(word.size() - 1, 1, U' ');
  }
}

std::vector<std::string> MosesTokenizer::tokenize(std::string_view utf8) const {
  std::u32string text = moses::to_letters(utf8);
  clean(text);
  set_marks_apart(text, alnum_);
  hide_rows_of_full_stops(text);
  set_commas_apart(text);
  switch (apostrophe_) {
    case Apostrophe::kEnglish:
      english_apostrophes(text);
      break;
    case Apostrophe::kFrench:
      french_apostrophes(text);
      break;
    case Apostrophe::kAlone:
      substitute(text, U"'", U" ' ");
  }
  std::vector<std::u32string> words = moses::words(text);
  separate_full_stops(words);
  if (!words.empty() && words.back().ends_with(U".'")) {
    std::u32string& last = words.back();
    last.replace(last.size() - 2, 2, U" . '");
  }
  std::vector<std::string> tokens;
  for (const std::u32string& word : words) {
    for (const std::u32string& token : moses::words(word)) tokens.push_back(shown(token));
  }
  return tokens;
}

}  // namespace nativo::text
