#include "translate/long_sentence.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace nativo::translate {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool continues_letter(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

bool closes_clause(std::string_view text) {
  for (const std::string_view mark : {",", ";", ":", ".", "!", "?", ")", "\u2014", "\u2026",
                                      "\u3001", "\u3002", "\uff0c", "\u060c"}) {
    if (text.ends_with(mark)) return true;
  }
  return false;
}

/// How good it is to cut before byte `at`: 3 = behind a clause, 2 = between words, 1 = between
/// letters of a script without spaces, 0 = not.
int cut_quality(const std::string& text, std::size_t at) {
  const char before = text[at - 1];
  if (is_space(before) || continues_letter(text[at])) return 0;
  if (is_space(text[at])) return closes_clause(std::string_view(text).substr(0, at)) ? 3 : 2;
  return is_ascii(before) || is_ascii(text[at]) ? 0 : 1;
}

/// Where to cut, or 0: the best place in the middle half, else the best anywhere; of equals the one
/// nearest to the middle.
std::size_t best_cut(const Sentence& sentence) {
  const std::string& text = sentence.text;
  const std::size_t middle = text.size() / 2;
  std::size_t best = 0;
  int best_quality = 0;
  std::size_t best_distance = 0;
  auto part = sentence.parts.begin();
  for (std::size_t at = 1; at < text.size(); ++at) {
    while (part != sentence.parts.end() && part->end <= at) ++part;
    if (part != sentence.parts.end() && part->begin < at) continue;
    int quality = cut_quality(text, at);
    if (quality == 0) continue;
    const std::size_t distance = at > middle ? at - middle : middle - at;
    if (distance <= text.size() / 4) quality += 3;
    if (quality > best_quality || (quality == best_quality && distance < best_distance)) {
      best = at;
      best_quality = quality;
      best_distance = distance;
    }
  }
  return best;
}

/// Bytes [begin, end) of a sentence with the parts that lie in them.
Sentence slice(const Sentence& sentence, std::size_t begin, std::size_t end) {
  Sentence piece{sentence.text.substr(begin, end - begin), {}, sentence.context};
  for (const Part& part : sentence.parts) {
    if (part.begin >= begin && part.end <= end) {
      piece.parts.push_back({part.begin - begin, part.end - begin, part.kind});
    }
  }
  return piece;
}

}  // namespace

std::optional<std::vector<SentencePiece>> cut_sentence(
    const Sentence& sentence, std::size_t most, const std::function<bool(const Sentence&)>& fits) {
  std::vector<SentencePiece> done;
  std::vector<SentencePiece> open = {{sentence, {}}};  // the last is the next
  while (!open.empty()) {
    if (done.size() + open.size() > most) return std::nullopt;
    SentencePiece piece = std::move(open.back());
    open.pop_back();
    if (fits(piece.sentence)) {
      done.push_back(std::move(piece));
      continue;
    }
    const std::string& text = piece.sentence.text;
    const std::size_t at = best_cut(piece.sentence);
    if (at == 0) return std::nullopt;
    std::size_t after = at;
    while (after < text.size() && is_space(text[after]) &&
           std::ranges::none_of(piece.sentence.parts,
                                [&](const Part& part) { return part.begin == after; })) {
      ++after;
    }
    if (after == text.size()) return std::nullopt;
    open.push_back({slice(piece.sentence, after, text.size()), std::move(piece.behind)});
    open.push_back({slice(piece.sentence, 0, at), text.substr(at, after - at)});
  }
  return done;
}

}  // namespace nativo::translate
