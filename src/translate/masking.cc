#include "translate/masking.h"

#include <fmt/core.h>

#include <algorithm>

namespace nativo::translate {
namespace {

constexpr std::size_t kMaxUnits = 1000;
constexpr std::size_t kFirstNumber = 90000000;
constexpr std::string_view kDigitLetters = "bcdfghjklm";
constexpr char kOpen = '\x01';
constexpr char kClose = '\x02';

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_letter(char c) { return is_alpha(c) || static_cast<unsigned char>(c) >= 0xC3; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_word(char c) { return is_alpha(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// "Xq" + three letters + "qz": no word in any of the dictionaries.
std::string word_token(std::size_t index) {
  return fmt::format("Xq{}{}{}qz", kDigitLetters[index / 100], kDigitLetters[index / 10 % 10],
                     kDigitLetters[index % 10]);
}
constexpr std::size_t kTokenLength = 7;

/// The index when a word token (in any case) begins at `i`.
bool token_at(std::string_view text, std::size_t i, std::size_t& index) {
  if (i + kTokenLength > text.size() || lower(text[i]) != 'x' || lower(text[i + 1]) != 'q' ||
      lower(text[i + 5]) != 'q' || lower(text[i + 6]) != 'z') {
    return false;
  }
  index = 0;
  for (std::size_t k = i + 2; k < i + 5; ++k) {
    const std::size_t digit = kDigitLetters.find(lower(text[k]));
    if (digit == std::string_view::npos) return false;
    index = index * 10 + digit;
  }
  return true;
}

void hide(Masked& masked, UnitKind kind, std::string bytes) {
  const std::size_t index = masked.units.size();
  if (index >= kMaxUnits) {
    masked.ok = false;
    return;
  }
  switch (kind) {
    case UnitKind::kWord:
      masked.stream += word_token(index);
      break;
    case UnitKind::kNumber:
      masked.stream += fmt::format("{}", kFirstNumber + index);
      break;
    case UnitKind::kBlank:
      masked.stream += fmt::format("[{}{}{}]", kOpen, index, kClose);
      break;
  }
  masked.units.push_back(std::move(bytes));
  masked.kinds.push_back(kind);
}

/// Characters that join operands: "12 * 4 = 48", "$5", "(3 + x) / 2".
bool is_operator(std::string_view text, std::size_t i) {
  if (std::string_view("+-*/=^<>").find(text[i]) != std::string_view::npos) return true;
  const std::string_view rest = text.substr(i);
  return rest.starts_with("×") || rest.starts_with("÷") || rest.starts_with("−") ||
         rest.starts_with("≤") || rest.starts_with("≥") || rest.starts_with("≈");
}
std::size_t char_length(std::string_view text, std::size_t i) {
  const auto byte = static_cast<unsigned char>(text[i]);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

class Masker {
 public:
  explicit Masker(const Sentence& sentence) : text_(sentence.text), parts_(sentence.parts) {}

  Masked run() {
    for (std::size_t i = 0; i < text_.size() && masked_.ok;) i = step(i);
    return std::move(masked_);
  }

 private:
  const Part* part_at(std::size_t i) const {
    const auto found = std::lower_bound(parts_.begin(), parts_.end(), i,
                                        [](const Part& p, std::size_t at) { return p.begin < at; });
    return found != parts_.end() && found->begin == i ? &*found : nullptr;
  }

  /// End of an operand at `i` (a part, a currency sign with its number, a lone letter), or `i`.
  std::size_t operand(std::size_t i) const {
    if (i >= text_.size()) return i;
    if (const Part* part = part_at(i)) return part->is_mark() ? i : part->end;
    const std::string_view rest = text_.substr(i);
    for (const std::string_view sign : {"$", "€", "£"}) {
      if (rest.starts_with(sign) && part_at(i + sign.size())) return part_at(i + sign.size())->end;
    }
    const bool lone = is_alpha(text_[i]) && (i + 1 >= text_.size() || !is_word(text_[i + 1])) &&
                      (i == 0 || !is_word(text_[i - 1])) &&
                      (i + 1 >= text_.size() || text_[i + 1] != '\'') &&
                      (i == 0 || text_[i - 1] != '\'');
    return lone && text_[i] != 'I' && text_[i] != 'a' && text_[i] != 'A' ? i + 1 : i;
  }

  /// End of "operand (operator operand)*" at `i`; `operators` counts the operators in it.
  std::size_t expression(std::size_t i, int& operators) const {
    std::size_t end = operand(i);
    if (end == i) return i;
    for (;;) {
      std::size_t k = end;
      while (k < text_.size() && (text_[k] == ' ' || text_[k] == '(' || text_[k] == ')')) ++k;
      std::size_t marks = 0;
      if (k + 2 < text_.size() && text_[k] == 'x' && text_[k + 1] == ' ' && k > 0 &&
          text_[k - 1] == ' ') {
        ++k;  // 120 x 4
        ++marks;
      }
      while (k < text_.size() && is_operator(text_, k)) {
        k += char_length(text_, k);
        ++marks;
      }
      if (marks == 0) return end;
      while (k < text_.size() && (text_[k] == ' ' || text_[k] == '(')) ++k;
      const std::size_t next = operand(k);
      if (next == k) return end;
      operators += 1;
      end = next;
    }
  }

  /// "don't", "Anna's", "boys' " keep theirs; quote marks are hidden: the dictionary would read the
  /// beginning of 'sole as a genitive.
  bool keeps_apostrophe(std::size_t i) const {
    if (i == 0 || !is_letter(text_[i - 1])) return false;
    for (const std::string_view end : {"s", "t", "m", "d", "re", "ll", "ve", "clock"}) {
      const std::size_t after = i + 1 + end.size();
      if (text_.substr(i + 1).starts_with(end) &&
          (after >= text_.size() || !is_word(text_[after]))) {
        return true;
      }
    }
    const bool plural = text_[i - 1] == 's' && i + 1 < text_.size() && text_[i + 1] == ' ';
    return plural && std::ranges::count(text_, '\'') == 1;
  }

  std::size_t step(std::size_t i) {
    const Part* part = part_at(i);
    if (part != nullptr && part->is_mark()) {
      hide(masked_, UnitKind::kBlank, std::string(text_.substr(i, part->end - i)));
      return part->end;
    }
    int operators = 0;
    const std::size_t end = expression(i, operators);
    const bool currency = end > i && part == nullptr && !is_alpha(text_[i]);
    if (end > i && (part != nullptr || currency || operators > 0)) {
      std::string bytes(text_.substr(i, end - i));
      std::size_t next = end;
      if (is_digit(bytes.back())) {
        for (const std::string_view suffix : {"st", "nd", "rd", "th"}) {
          if (text_.substr(end).starts_with(suffix) &&
              (end + 2 >= text_.size() || !is_word(text_[end + 2]))) {
            bytes += "º";
            next = end + 2;
          }
        }
      }
      const bool number = part != nullptr ? part->is_number() : currency || is_digit(text_[i]);
      hide(masked_, number ? UnitKind::kNumber : UnitKind::kWord, std::move(bytes));
      return next;
    }
    const char c = text_[i];
    if (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\n' && c != '\r') {
      masked_.ok = false;
      return i + 1;
    }
    if (is_letter(c) && (i == 0 || !is_word(text_[i - 1]))) ++masked_.words;
    const std::string_view rest = text_.substr(i);
    if (rest.starts_with("’") && i > 0 && is_letter(text_[i - 1])) {
      masked_.stream += '\'';  // the dictionaries know don't, not don’t
      return i + 3;
    }
    if (c == '\'' && !keeps_apostrophe(i)) {
      hide(masked_, UnitKind::kBlank, "'");
      return i + 1;
    }
    constexpr std::string_view kPlain = " .,;:!?'\"()-";
    if (is_word(c) || kPlain.find(c) != std::string_view::npos) {
      masked_.stream += c;
      return i + 1;
    }
    std::size_t run = i;
    while (run < text_.size() && !is_word(text_[run]) && part_at(run) == nullptr &&
           kPlain.find(text_[run]) == std::string_view::npos &&
           static_cast<unsigned char>(text_[run]) != 0) {
      ++run;
    }
    hide(masked_, UnitKind::kBlank, std::string(text_.substr(i, run - i)));
    return run;
  }

  std::string_view text_;
  const std::vector<Part>& parts_;
  Masked masked_;
};

/// End of the blank "[..]" that begins at `i`.
std::size_t blank_end(std::string_view text, std::size_t i) {
  const std::size_t close = text.find(']', i);
  return close == std::string_view::npos ? text.size() : close + 1;
}
/// End of the word at `i`; a token glued to it is not part of it.
std::size_t word_end(std::string_view text, std::size_t i) {
  std::size_t index = 0;
  while (i < text.size() && is_word(text[i]) && !token_at(text, i, index)) ++i;
  return i;
}

/// "\@" or "\#" at `i`: a mark that a later program of the pair took for text and escaped. Those of
/// the source are inside blanks.
bool is_mark(std::string_view answer, std::size_t i) {
  return i + 1 < answer.size() && (answer[i + 1] == '@' || answer[i + 1] == '#');
}

}  // namespace

Masked mask(const Sentence& sentence) { return Masker(sentence).run(); }

void remask(Masked& masked, std::string_view answer) {
  masked.stream.clear();
  for (std::size_t i = 0; i < answer.size();) {
    const char c = answer[i];
    std::size_t index = 0;
    if (c == '[') {
      const std::size_t end = blank_end(answer, i);
      masked.stream += answer.substr(i, end - i);
      i = end;
    } else if (c == '\\') {
      if (!is_mark(answer, i)) masked.stream += answer.substr(i, 2);
      i += 2;
    } else if (c == '*') {
      ++i;
      if (token_at(answer, i, index)) continue;
      const std::size_t end = word_end(answer, i);
      if (end == i) continue;
      if (is_lower(answer[i])) ++masked.unknown;
      hide(masked, UnitKind::kWord, std::string(answer.substr(i, end - i)));
      i = end;
    } else if (c == '@' || c == '#') {
      ++i;
    } else {
      masked.stream += c;
      ++i;
    }
  }
}

Translation unmask(Masked& masked, std::string_view answer, WordLookup lookup) {
  Translation result;
  std::vector<int> seen(masked.units.size(), 0);
  const auto put = [&](std::size_t index, UnitKind kind) {
    if (index >= seen.size() || masked.kinds[index] != kind) return false;
    ++seen[index];
    result.text += masked.units[index];
    return true;
  };
  bool sound = true;
  for (std::size_t i = 0; i < answer.size();) {
    const char c = answer[i];
    std::size_t index = 0;
    if (c == '[') {
      const std::size_t end = blank_end(answer, i);
      const std::string_view inside = answer.substr(i + 1, end - i - 1);
      if (inside.size() >= 3 && inside[0] == kOpen) {
        for (const char digit : inside.substr(1)) {
          if (is_digit(digit) && index < kMaxUnits) index = index * 10 + (digit - '0');
        }
        sound = put(index, UnitKind::kBlank) && sound;
      }
      i = end;
    } else if (c == '\\') {
      if (i + 1 < answer.size() && !is_mark(answer, i)) result.text += answer[i + 1];
      i += 2;
    } else if (c == '*') {
      ++i;
      if (token_at(answer, i, index)) continue;
      const std::size_t end = word_end(answer, i);
      std::string word(answer.substr(i, end - i));
      if (word.empty()) continue;
      const bool capital = word[0] >= 'A' && word[0] <= 'Z';
      word[0] = lower(word[0]);
      std::string replacement(lookup == nullptr ? std::string_view() : lookup(word));
      if (replacement.empty()) {
        if (!capital) ++masked.unknown;
        replacement = word;
      }
      if (capital && is_lower(replacement[0])) {
        replacement[0] = static_cast<char>(replacement[0] - 'a' + 'A');
      }
      result.text += replacement;
      i = end;
    } else if (c == '@' || c == '#') {
      ++i;
    } else if (token_at(answer, i, index)) {
      sound = put(index, UnitKind::kWord) && sound;
      i += kTokenLength;
    } else if (is_digit(c)) {
      std::size_t end = i;
      std::size_t value = 0;
      while (end < answer.size() && is_digit(answer[end])) {
        if (value < 10 * kFirstNumber)
          value = value * 10 + static_cast<std::size_t>(answer[end] - '0');
        ++end;
      }
      sound = value >= kFirstNumber && put(value - kFirstNumber, UnitKind::kNumber) && sound;
      i = end;
    } else {
      // Apertium's case rules sometimes leave "deLla".
      const bool inner = c >= 'A' && c <= 'Z' && i > 0 && is_lower(answer[i - 1]);
      result.text += inner ? lower(c) : c;
      ++i;
    }
  }
  result.words = masked.words;
  result.unknown = std::min(masked.unknown, masked.words);
  result.ok = sound && masked.ok && std::ranges::all_of(seen, [](int n) { return n == 1; });
  return result;
}

}  // namespace nativo::translate
