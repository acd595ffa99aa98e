// Near-duplicates: planted ones are found, unrelated texts are not, and the index is FAISS's equal.
#include "dedup/near.h"

#include <faiss/IndexFlat.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "dedup/ngrams.h"
#include "dedup/sketch_index.h"
#include "text/normalize.h"

namespace nativo::dedup {
namespace {

/// A text of `words` words drawn from a vocabulary of 2000 that look like words.
std::vector<std::string> random_words(std::size_t words, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::string> text;
  for (std::size_t i = 0; i < words; ++i) {
    Rng word(rng.below(2000), 77);
    std::string letters;
    for (std::uint64_t n = 2 + word.below(4); n > 0; --n) {
      letters += "bcdfglmnprstvz"[word.below(14)];
      letters += "aeiou"[word.below(5)];
    }
    text.push_back(letters);
  }
  return text;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + ' ';
  return text;
}

std::vector<Match> match(const std::vector<std::string>& texts, const DedupOptions& options = {}) {
  return find_near(
      texts.size(), [&](std::size_t i) { return Candidate{.folded = text::fold_text(texts[i])}; },
      options, [](std::size_t) {});
}

TEST(Ngrams, CosineOfSets) {
  const auto a = ngram_set("ab");  // " ab", "ab ", " ab "
  EXPECT_EQ(a.size(), 3U);
  EXPECT_DOUBLE_EQ(set_cosine(a, a), 1.0);
  EXPECT_DOUBLE_EQ(set_cosine(a, {}), 0.0);
  const auto b = ngram_set("ab ab");  // and "b a", "ab a", "b ab", " ab a", "ab ab", "b ab "
  EXPECT_NEAR(set_cosine(a, b), 3.0 / std::sqrt(3.0 * static_cast<double>(b.size())), 1e-12);
  EXPECT_TRUE(ngram_set("").empty()) << "two spaces are no n-gram";
}

TEST(Ngrams, SketchesEstimateTheCosine) {
  std::vector<std::string> words = random_words(150, 1);
  const auto a = ngram_set(join(words));
  for (std::size_t i = 0; i < 150; i += 40) words[i] = "altro";
  const auto b = ngram_set(join(words));
  std::vector<float> x(384);
  std::vector<float> y(384);
  make_sketch(a, x);
  make_sketch(b, y);
  double product = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) product += static_cast<double>(x[i]) * y[i];
  // Three standard deviations of feature hashing at this cosine and dimension.
  const double cosine = set_cosine(a, b);
  EXPECT_NEAR(product, cosine, 3.0 * std::sqrt((1.0 - cosine) / 384.0));
}

TEST(SketchIndex, FindsWhatFaissFinds) {
  constexpr std::size_t kDimension = 96;
  constexpr std::size_t kRows = 333;  // no multiple of a panel or tile
  std::vector<float> data(kRows * kDimension);
  Rng rng(5);
  for (float& value : data) value = static_cast<float>(rng.uniform());
  for (std::size_t i = 0; i < kRows; ++i) {
    double squares = 0.0;
    for (std::size_t d = 0; d < kDimension; ++d) squares += std::pow(data[i * kDimension + d], 2);
    for (std::size_t d = 0; d < kDimension; ++d) {
      data[i * kDimension + d] /= static_cast<float>(std::sqrt(squares));
    }
  }
  SketchIndex ours(kDimension);
  for (std::size_t i = 0; i < kRows; ++i) {
    ours.add(std::span(data).subspan(i * kDimension, kDimension));
  }
  faiss::IndexFlatIP theirs(kDimension);
  theirs.add(kRows, data.data());
  constexpr float kThreshold = 0.78F;
  faiss::RangeSearchResult expected(kRows);
  theirs.range_search(kRows, data.data(), kThreshold, &expected);
  const auto hits = ours.search(data, kThreshold);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    std::map<std::size_t, float> faiss_hits;
    for (std::size_t h = expected.lims[i]; h < expected.lims[i + 1]; ++h) {
      faiss_hits[static_cast<std::size_t>(expected.labels[h])] = expected.distances[h];
    }
    std::map<std::size_t, float> our_hits;
    for (const Hit& hit : hits[i]) our_hits[hit.row] = hit.product;
    // 96 additions in another order: 96 rounding errors of 2^-24 at most.
    const float error = 96.0F * 0x1.0p-24F;
    for (const auto& [row, product] : faiss_hits) {
      if (product < kThreshold + error) continue;
      ASSERT_TRUE(our_hits.contains(row)) << i << " " << row;
      EXPECT_NEAR(our_hits[row], product, error);
      ++compared;
    }
    for (const auto& [row, product] : our_hits) {
      EXPECT_TRUE(faiss_hits.contains(row) || product < kThreshold + error) << i << " " << row;
    }
  }
  EXPECT_GT(compared, kRows) << "each finds itself and some find others";
}

TEST(Near, FindsTextsWithTwoToFourOtherWords) {
  std::vector<std::string> texts;
  constexpr std::size_t kTexts = 700;  // more than one block
  for (std::size_t i = 0; i < kTexts; ++i) texts.push_back(join(random_words(110 + i % 60, i)));
  for (std::size_t i = 0; i < kTexts; ++i) {
    std::vector<std::string> words = random_words(110 + i % 60, i);
    Rng rng(9, i);
    for (std::size_t change = 0; change < 2 + i % 3; ++change) {
      words[rng.below(words.size())] = "cambiato" + std::to_string(change);
    }
    texts.push_back(join(words));
  }
  const std::vector<Match> matches = match(texts);
  for (std::size_t i = 0; i < kTexts; ++i) {
    EXPECT_EQ(matches[i].kept, Match::kNone) << "unrelated texts stay: " << i;
    EXPECT_EQ(matches[kTexts + i].kept, i);
    EXPECT_GE(matches[kTexts + i].cosine, 0.9);
  }
}

TEST(Near, ADroppedTextHasAKeptOneThatIsSimilarEnough) {
  // A chain: each text has three more words changed than the one before.
  std::vector<std::string> texts;
  std::vector<std::string> words = random_words(120, 3);
  for (std::size_t i = 0; i < 20; ++i) {
    texts.push_back(join(words));
    for (std::size_t change = 0; change < 3; ++change) {
      words[i * 3 + change] = "nuovo" + std::to_string(i * 3 + change);
    }
  }
  const std::vector<Match> matches = match(texts);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (matches[i].kept == Match::kNone) {
      ++kept;
      continue;
    }
    EXPECT_EQ(matches[matches[i].kept].kept, Match::kNone) << "the reason itself was dropped";
    const double cosine = set_cosine(ngram_set(text::fold_text(texts[i])),
                                     ngram_set(text::fold_text(texts[matches[i].kept])));
    EXPECT_DOUBLE_EQ(cosine, matches[i].cosine);
    EXPECT_GE(cosine, 0.9);
  }
  EXPECT_GT(kept, 2U) << "the ends of the chain are different texts";
}

TEST(Near, NumbersAndShortTextsAreSpared) {
  const std::vector<std::string> texts = {join(random_words(60, 1)) + "con 12 mele",
                                          join(random_words(60, 1)) + "con 15 mele", "sì", "sì"};
  const auto numbered = [&](std::size_t i) {
    return Candidate{.folded = texts[i], .numbers = i + 1};
  };
  const auto none = [](std::size_t) {};
  EXPECT_EQ(find_near(4, numbered, {}, none)[1].kept, Match::kNone);
  EXPECT_EQ(match(texts)[1].kept, 0U);
  EXPECT_EQ(match(texts)[3].kept, Match::kNone);
}

TEST(Near, WithoutRescoringTheHashedCosineDecides) {
  DedupOptions options;
  options.rescore = false;
  std::vector<std::string> words = random_words(200, 4);
  std::vector<std::string> texts = {join(words)};
  words[7] = "diverso";
  texts.push_back(join(words));
  const std::vector<Match> matches = match(texts, options);
  EXPECT_EQ(matches[1].kept, 0U);
  EXPECT_GT(matches[1].cosine, 0.9);
}

TEST(Near, NothingIsFine) {
  EXPECT_TRUE(match({}).empty());
  EXPECT_EQ(match({"", ""})[1].kept, Match::kNone);
}

}  // namespace
}  // namespace nativo::dedup
