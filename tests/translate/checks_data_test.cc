// How often the checks err on human translations, and what share of known damage they find. Run
// with NATIVO_DATA; docs/translation-quality.md quotes what this prints.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "parallel_data.h"
#include "translate/checks.h"

namespace nativo::translate {
namespace {

using Rates = std::array<double, kCheckCount + 1>;  ///< by check; the last: any of them

/// Share of `pairs` that each check fails.
Rates failing(const std::vector<Pair>& pairs) {
  const TranslationChecks checks({}, "en", "it");
  Rates rates{};
  const char* shown = std::getenv("NATIVO_SHOW_CHECK");
  for (const auto& [source, translation] : pairs) {
    bool any = false;
    for (const Measurement& m : checks.measure(source, translation)) {
      rates[static_cast<std::size_t>(m.check)] += m.failed();
      any = any || m.failed();
      if (shown != nullptr && m.failed() && check_name(m.check) == shown) {
        fmt::print("{:.3f}\t{}\t{}\n", m.value, source, translation);
      }
    }
    rates[kCheckCount] += any;
  }
  for (double& rate : rates) rate /= static_cast<double>(pairs.size());
  return rates;
}

void print_header() {
  fmt::print("{:<22}{:>6}", "", "pairs");
  for (std::size_t c = 0; c < kCheckCount; ++c) {
    fmt::print(" {:>14}", check_name(static_cast<Check>(c)));
  }
  fmt::print(" {:>7}\n", "any");
}

void print_row(const std::string& name, std::size_t pairs, const Rates& rates) {
  fmt::print("{:<22}{:>6}", name, pairs);
  for (std::size_t c = 0; c < kCheckCount; ++c) fmt::print(" {:>13.2f}%", 100.0 * rates[c]);
  fmt::print(" {:>6.2f}%\n", 100.0 * rates[kCheckCount]);
}

TEST(ChecksOnData, HumanTranslationsPass) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  print_header();
  for (const ParallelSet& set : prose_sets()) {
    const Rates rates = failing(set.pairs);
    print_row(set.name, set.pairs.size(), rates);
    for (std::size_t c = 0; c < kCheckCount; ++c) {
      EXPECT_LE(rates[c], 0.01) << set.name << " " << check_name(static_cast<Check>(c));
    }
  }
  for (const ParallelSet& set : markup_sets()) {
    print_row(set.name, set.pairs.size(), failing(set.pairs));
  }
}

/// What is done to a good translation, and which check must see it.
struct Damage {
  std::string name;
  std::function<std::string(const Pair&, std::size_t)> apply;  ///< "" = not possible here
  Check check;
  double found;  ///< at least this share, by any check
};

std::string without_digits(std::string text) {
  const std::size_t begin = text.find_first_of("123456789");
  if (begin == std::string::npos) return {};
  const std::size_t end = text.find_first_not_of("0123456789.,", begin);
  return text.erase(begin, end == std::string::npos ? end : end - begin);
}

std::string cut_at(const std::string& text, double share) {
  const auto bytes = static_cast<std::size_t>(share * static_cast<double>(text.size()));
  return std::string(utf8_prefix(text, bytes));
}

std::string with_loop(const std::string& text) {
  const std::size_t space = text.rfind(' ', text.size() * 3 / 4);
  if (space == std::string::npos) return {};
  const std::size_t word = text.rfind(' ', space - 1);
  if (word == std::string::npos || word == 0) return {};
  std::string out = text.substr(0, space);
  for (int i = 0; i < 12; ++i) out += text.substr(word, space - word);
  return out;
}

TEST(ChecksOnData, KnownDamageIsFound) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  std::vector<Pair> pairs;
  for (const ParallelSet& set : prose_sets()) {
    for (std::size_t i = 0; i < set.pairs.size(); i += 2) {
      if (set.pairs[i].first.size() >= 40) pairs.push_back(set.pairs[i]);
    }
  }
  const std::vector<Damage> damages = {
      {"empty", [](const Pair&, std::size_t) { return std::string("."); }, Check::kEmpty, 0.99},
      {"copied", [](const Pair& p, std::size_t) { return p.first; }, Check::kUntranslated, 0.95},
      {"second half copied",
       [](const Pair& p, std::size_t) {
         return cut_at(p.second, 0.5) + " " + p.first.substr(p.first.size() / 2);
       },
       Check::kUntranslated, 0.1},
      {"other language",
       [&](const Pair&, std::size_t i) { return pairs[(i + 7) % pairs.size()].first; },
       Check::kWrongLanguage, 0.6},
      {"cut in half", [](const Pair& p, std::size_t) { return cut_at(p.second, 0.5); },
       Check::kTruncation, 0.8},
      {"last quarter cut", [](const Pair& p, std::size_t) { return cut_at(p.second, 0.75); },
       Check::kTruncation, 0.5},
      {"said twice", [](const Pair& p, std::size_t) { return p.second + " " + p.second; },
       Check::kLengthRatio, 0.75},
      {"loop of a word", [](const Pair& p, std::size_t) { return with_loop(p.second); },
       Check::kRepetition, 0.95},
      {"number dropped", [](const Pair& p, std::size_t) { return without_digits(p.second); },
       Check::kNumbersLost, 0.8},
      {"announced", [](const Pair& p, std::size_t) { return "Ecco la traduzione: " + p.second; },
       Check::kChatter, 0.95},
      {"refused",
       [](const Pair&, std::size_t) {
         return std::string("Mi dispiace, ma non posso aiutarti con questa richiesta.");
       },
       Check::kChatter, 0.9},
  };
  print_header();
  for (const Damage& damage : damages) {
    std::vector<Pair> damaged;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const std::string result = damage.apply(pairs[i], i);
      if (!result.empty()) damaged.emplace_back(pairs[i].first, result);
    }
    const Rates rates = failing(damaged);
    print_row(damage.name, damaged.size(), rates);
    EXPECT_GE(rates[kCheckCount], damage.found) << damage.name;
    EXPECT_GE(rates[static_cast<std::size_t>(damage.check)], 0.05) << damage.name;
  }
}

}  // namespace
}  // namespace nativo::translate
