#include "translate/placeholders.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/code_point_classes.h"
#include "text/protected_spans.h"

namespace nativo::translate {
namespace {

constexpr std::size_t kMaxParts = 150;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

std::string mark_of(Disguise how, std::size_t number) {
  switch (how) {
    case Disguise::kNone:
      break;
    case Disguise::kNumbers:
      return fmt::format("{}", 701 + number);
    case Disguise::kLetters:
      return {static_cast<char>('X' - static_cast<char>(number / 26 % 24)),
              static_cast<char>('A' + static_cast<char>(number % 26))};
    case Disguise::kUnknown: {
      std::string mark;
      text::append_utf8(mark, U'\uE001' + static_cast<char32_t>(number));
      return mark;
    }
  }
  return {};
}

/// True when a digit or letter before or after `mark` at `at` makes it part of something longer:
/// "12" is not in "12.5", nor "XA" in "XAB".
bool is_glued(std::string_view text, std::size_t at, std::string_view mark) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? text[i] : ' '; };
  const auto before = [&](std::size_t back) { return at >= back ? text[at - back] : ' '; };
  const std::size_t end = at + mark.size();
  const auto joins = [](char c) { return c == '.' || c == ',' || c == ':' || c == '/'; };
  if (is_digit(mark.front()) &&
      (is_digit(before(1)) || (joins(before(1)) && is_digit(before(2))))) {
    return true;
  }
  if (is_digit(mark.back()) &&
      (is_digit(byte(end)) || (joins(byte(end)) && is_digit(byte(end + 1))))) {
    return true;
  }
  const auto word = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
  const auto ascii = [](char c) { return is_letter(c) && static_cast<unsigned char>(c) < 0x80; };
  return (ascii(mark.front()) && word(before(1))) || (ascii(mark.back()) && word(byte(end)));
}

}  // namespace

std::optional<Disguised> disguise(const Sentence& sentence, Disguise how) {
  if (sentence.parts.size() > kMaxParts) return std::nullopt;
  Disguised result;
  std::size_t at = 0;
  std::size_t number = 0;
  for (const Part& part : sentence.parts) {
    std::string mark = sentence.text.substr(part.begin, part.end - part.begin);
    if (how != Disguise::kNone) {
      // Not one that the sentence itself has.
      do {
        mark = mark_of(how, number++);
      } while (sentence.text.find(mark) != std::string::npos && number < 2 * kMaxParts);
    }
    result.text.append(sentence.text, at, part.begin - at);
    result.text += mark;
    result.marks.push_back(std::move(mark));
    at = part.end;
  }
  result.text.append(sentence.text, at);
  return result;
}

std::optional<Sentence> undisguise(const Sentence& source, const Disguised& disguised,
                                   std::string_view translation) {
  if (source.parts.empty()) return Sentence{std::string(translation), {}};
  // The longest mark first, so that none is found inside another.
  std::vector<std::size_t> open(disguised.marks.size());
  for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
  std::stable_sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) {
    return disguised.marks[a].size() > disguised.marks[b].size();
  });
  Sentence result;
  for (std::size_t at = 0; at < translation.size();) {
    const auto fits = [&](std::size_t i) {
      const std::string& mark = disguised.marks[i];
      return translation.substr(at).starts_with(mark) && !is_glued(translation, at, mark);
    };
    const auto found = std::find_if(open.begin(), open.end(), fits);
    if (found == open.end()) {
      result.text += translation[at++];
      continue;
    }
    const Part& part = source.parts[*found];
    const std::size_t begin = result.text.size();
    result.text.append(source.text, part.begin, part.end - part.begin);
    result.parts.push_back({begin, result.text.size(), part.kind});
    at += disguised.marks[*found].size();
    open.erase(found);
  }
  if (!open.empty()) return std::nullopt;
  for (std::size_t i = 0; i < disguised.marks.size(); ++i) {
    const std::string& mark = disguised.marks[i];
    const Part& part = source.parts[i];
    const bool itself = mark == source.text.substr(part.begin, part.end - part.begin);
    if (!itself && result.text.find(mark) != std::string::npos) return std::nullopt;
  }
  if (!text::verify_protected(source.text, result.text).ok()) return std::nullopt;
  return result;
}

}  // namespace nativo::translate
