#include "dedup/near.h"

#include <algorithm>
#include <span>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "dedup/ngrams.h"
#include "dedup/sketch_index.h"

namespace nativo::dedup {
namespace {

constexpr std::size_t kBlock = 512;
/// Hashed cosines differ from exact ones by about sqrt((1 - .9) / 384) = .016: pairs are looked at
/// from three times that below the threshold on.
constexpr double kSlack = 0.05;

/// One text of the block in hand.
struct Entry {
  Candidate text;
  bool compared = false;  ///< long enough for near-duplicates
  std::vector<std::uint64_t> ngrams;
  Match match;
};

bool numbers_differ(const Candidate& a, const Candidate& b) {
  return a.numbers != 0 && b.numbers != 0 && a.numbers != b.numbers;
}

/// An earlier text of the block, as similar as the threshold asks or more.
struct Pair {
  std::size_t earlier = 0;
  double cosine = 0.0;
};

}  // namespace

std::vector<Match> find_near(std::size_t count,
                             const std::function<Candidate(std::size_t)>& candidate,
                             const DedupOptions& options,
                             const std::function<void(std::size_t)>& progress) {
  const auto dimension = static_cast<std::size_t>(options.dimension);
  const auto least = static_cast<std::size_t>(options.min_characters);
  const auto floor =
      static_cast<float>(options.rescore ? options.threshold - kSlack : options.threshold);
  SketchIndex index(dimension);
  std::vector<std::size_t> kept;  // by row of the index
  std::vector<Match> matches(count);
  std::vector<float> sketches(kBlock * dimension);
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t rows = std::min(kBlock, count - begin);
    std::vector<Entry> block(rows);
    const auto sketch = [&](std::size_t i) {
      return std::span(sketches).subspan(i * dimension, dimension);
    };
    parallel_for(rows, [&](std::size_t i) {
      block[i].text = candidate(begin + i);
      block[i].compared = count_code_points(block[i].text.folded) >= least;
      block[i].ngrams = ngram_set(block[i].text.folded);
      make_sketch(block[i].ngrams, sketch(i));
    });

    // Against all kept texts of earlier blocks: the most similar one, the earlier one of equals.
    const std::vector<std::vector<Hit>> hits =
        index.search(std::span(sketches).first(rows * dimension), floor);
    parallel_for(rows, [&](std::size_t i) {
      Entry& entry = block[i];
      if (!entry.compared) return;
      for (const Hit& hit : hits[i]) {
        double cosine = hit.product;
        if (options.rescore || entry.text.numbers != 0) {
          const Candidate other = candidate(kept[hit.row]);
          if (numbers_differ(entry.text, other)) continue;
          if (options.rescore) cosine = set_cosine(entry.ngrams, ngram_set(other.folded));
        }
        if (cosine < options.threshold || cosine <= entry.match.cosine) continue;
        entry.match = {.kept = kept[hit.row], .cosine = cosine};
      }
    });

    // Inside the block: all pairs first, then the decisions in order.
    SketchIndex inside(dimension);
    for (std::size_t i = 0; i < rows; ++i) inside.add(sketch(i));
    std::vector<std::vector<Hit>> pairs =
        inside.search(std::span(sketches).first(rows * dimension), floor);
    std::vector<std::vector<Pair>> similar(rows);
    parallel_for(rows, [&](std::size_t i) {
      for (const Hit& hit : pairs[i]) {
        const std::size_t j = hit.row;
        if (j >= i || !block[i].compared || !block[j].compared) continue;
        if (numbers_differ(block[i].text, block[j].text)) continue;
        const double cosine =
            options.rescore ? set_cosine(block[i].ngrams, block[j].ngrams) : hit.product;
        if (cosine >= options.threshold) similar[i].push_back({.earlier = j, .cosine = cosine});
      }
    });
    for (std::size_t i = 0; i < rows; ++i) {
      Match& match = block[i].match;
      for (const auto& [j, cosine] : similar[i]) {
        if (block[j].match.kept != Match::kNone || cosine <= match.cosine) continue;
        match = {.kept = begin + j, .cosine = cosine};
      }
    }
    for (std::size_t i = 0; i < rows; ++i) {
      matches[begin + i] = block[i].match;
      if (block[i].match.kept != Match::kNone || !block[i].compared) continue;
      index.add(sketch(i));
      kept.push_back(begin + i);
    }
    progress(rows);
    stop_if_interrupted();
  }
  return matches;
}

}  // namespace nativo::dedup
