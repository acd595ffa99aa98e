#include "eval/bleu.h"

#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/strings.h"
#include "eval/answer_text.h"
#include "text/ngram_matches.h"
#include "text/white_space.h"

namespace nativo::eval {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }

/// The marks that always stand alone: { to ~, [ to `, space to &, ( to +, : to @, and /.
bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

std::string with_marks_apart(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 2);
  for (const char c : text) {
    if (stands_alone(c)) {
      out += ' ';
      out += c;
      out += ' ';
    } else {
      out += c;
    }
  }
  return out;
}

/// Replaces, from left to right and each byte at most once, a pair that `matches` by
/// before first between second after.
template <class Matches>
std::string with_pairs_apart(std::string_view text, const Matches& matches, std::string_view before,
                             std::string_view after) {
  std::string out;
  out.reserve(text.size() * 2);
  std::size_t at = 0;
  for (; at + 1 < text.size();) {
    if (!matches(text[at], text[at + 1])) {
      out += text[at++];
      continue;
    }
    out += before;
    out += text[at];
    out += ' ';
    out += text[at + 1];
    out += after;
    at += 2;
  }
  return out.append(text.substr(at));
}

/// Words as numbers that are equal when the words are.
class WordNumbers {
 public:
  std::vector<std::uint32_t> of(std::string_view segment) {
    std::vector<std::uint32_t> numbers;
    const std::string spaced = tokenize_13a(segment);
    for (const std::string_view word : text::split_white_space(spaced)) {
      numbers.push_back(
          known_.try_emplace(std::string(word), static_cast<std::uint32_t>(known_.size()))
              .first->second);
    }
    return numbers;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> known_;
};

double nearest_length(double length, std::span<const std::vector<std::uint32_t>> references) {
  double nearest = 0.0;
  double distance = -1.0;
  for (const std::vector<std::uint32_t>& reference : references) {
    const auto candidate = static_cast<double>(reference.size());
    const double off = std::abs(length - candidate);
    if (distance >= 0 && (off > distance || (off == distance && candidate >= nearest))) continue;
    nearest = candidate;
    distance = off;
  }
  return nearest;
}

}  // namespace

std::string tokenize_13a(std::string_view segment) {
  std::string text(segment.substr(0, segment.size() - trailing_space(segment)));
  text = replace_all(text, "<skipped>", "");
  text = replace_all(text, "-\n", "");
  text = replace_all(text, "\n", " ");
  if (text.find('&') != std::string::npos) {
    text = replace_all(text, "&quot;", "\"");
    text = replace_all(text, "&amp;", "&");
    text = replace_all(text, "&lt;", "<");
    text = replace_all(text, "&gt;", ">");
  }
  text = with_marks_apart(" " + text + " ");
  text = with_pairs_apart(
      text, [](char a, char b) { return !is_digit(a) && is_point(b); }, "", " ");
  text = with_pairs_apart(
      text, [](char a, char b) { return is_point(a) && !is_digit(b); }, " ", "");
  return with_pairs_apart(
      text, [](char a, char b) { return is_digit(a) && b == '-'; }, "", " ");
}

void BleuCounts::add(const BleuCounts& other) {
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    correct[n] += other.correct[n];
    total[n] += other.total[n];
  }
  hypothesis_length += other.hypothesis_length;
  reference_length += other.reference_length;
}

BleuCounts bleu_counts(std::string_view hypothesis, std::span<const std::string> references) {
  WordNumbers numbers;
  const std::vector<std::uint32_t> words = numbers.of(hypothesis);
  std::vector<std::vector<std::uint32_t>> others;
  for (const std::string& reference : references) others.push_back(numbers.of(reference));
  const text::NgramCounts ngrams(words, kBleuOrder);
  const std::vector<std::uint64_t> matches = ngrams.matches(others);
  BleuCounts counts;
  counts.hypothesis_length = static_cast<double>(words.size());
  counts.reference_length = nearest_length(counts.hypothesis_length, others);
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    counts.correct[n] = static_cast<double>(matches[n]);
    counts.total[n] = words.size() > n ? static_cast<double>(words.size() - n) : 0.0;
  }
  return counts;
}

Bleu bleu(const BleuCounts& counts, BleuOrders orders) {
  Bleu result;
  if (counts.hypothesis_length < counts.reference_length) {
    result.brevity_penalty =
        counts.hypothesis_length > 0
            ? std::exp(1.0 - counts.reference_length / counts.hypothesis_length)
            : 0.0;
  }
  bool any = false;
  for (const double correct : counts.correct) any = any || correct > 0;
  if (!any) return result;
  double smooth = 1.0;
  double logs = 0.0;
  std::size_t used = 0;
  for (; used < kBleuOrder && counts.total[used] > 0; ++used) {
    if (counts.correct[used] > 0) {
      result.precisions[used] = 100.0 * counts.correct[used] / counts.total[used];
    } else {
      smooth *= 2.0;
      result.precisions[used] = 100.0 / (smooth * counts.total[used]);
    }
    logs += std::log(result.precisions[used]);
  }
  if (used < kBleuOrder && orders == BleuOrders::kAll) return result;  // an order without n-grams
  result.score = result.brevity_penalty * std::exp(logs / static_cast<double>(used));
  return result;
}

}  // namespace nativo::eval
