// Which texts are near-duplicates of which. Texts come in order of preference; each is dropped if
// it reaches the threshold with one that was kept before it, else kept. So every dropped text has a
// kept one at least that similar (no chains: A~B~C does not drop C for A), and the result depends
// on the order alone, not on threads or blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dedup/options.h"

namespace nativo::dedup {

/// A text to compare.
struct Candidate {
  std::string folded;         ///< text::fold_text of what is compared
  std::uint64_t numbers = 0;  ///< hash of its numbers; pairs with different ones are kept. 0 = any
};

/// What became of one text.
struct Match {
  static constexpr std::size_t kNone = SIZE_MAX;
  std::size_t kept =
      kNone;            ///< position of the kept text that it repeats, kNone = it is kept itself
  double cosine = 0.0;  ///< exact if options.rescore, else of the hashed vectors
};

/// One Match for each of the `count` texts that `candidate(i)` gives, i in order of preference.
/// `candidate` is called from several threads, several times for a text with neighbours. `progress`
/// is called with the number of further texts that are decided.
[[nodiscard]] std::vector<Match> find_near(std::size_t count,
                                           const std::function<Candidate(std::size_t)>& candidate,
                                           const DedupOptions& options,
                                           const std::function<void(std::size_t)>& progress);

}  // namespace nativo::dedup
