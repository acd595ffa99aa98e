#include "text/ngram_matches.h"

#include <algorithm>

namespace nativo::text {
namespace {

constexpr std::uint32_t kAbsent = UINT32_MAX;

std::uint64_t key_of(std::uint32_t prefix, std::uint32_t symbol) {
  return (std::uint64_t{prefix} << 32U) | symbol;
}

/// Finaliser of MurmurHash3: every bit of the key moves every bit of the place.
std::uint64_t scatter(std::uint64_t key) {
  key ^= key >> 33U;
  key *= 0xFF51AFD7ED558CCDULL;
  key ^= key >> 33U;
  key *= 0xC4CEB9FE1A85EC53ULL;
  return key ^ (key >> 33U);
}

}  // namespace

NgramCounts::NgramCounts(std::span<const std::uint32_t> sequence, std::size_t order)
    : order_(order), slots_(256), count_(1, 0) {
  std::vector<std::uint32_t> prefix(sequence.size(), 0);
  for (std::size_t n = 1; n <= order; ++n) {
    first_.push_back(static_cast<std::uint32_t>(count_.size()));
    for (std::size_t i = 0; i + n <= sequence.size(); ++i) {
      prefix[i] = insert(key_of(prefix[i], sequence[i + n - 1]));
      ++count_[prefix[i]];
    }
  }
}

std::size_t NgramCounts::find(std::uint64_t key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = scatter(key) & mask;
  while (slots_[at].ngram != 0 && slots_[at].key != key) at = (at + 1) & mask;
  return at;
}

std::uint32_t NgramCounts::insert(std::uint64_t key) {
  std::size_t at = find(key);
  if (slots_[at].ngram != 0) return slots_[at].ngram;
  if (2 * count_.size() >= slots_.size()) {
    grow();
    at = find(key);
  }
  slots_[at] = {key, static_cast<std::uint32_t>(count_.size())};
  count_.push_back(0);
  return slots_[at].ngram;
}

void NgramCounts::grow() {
  std::vector<Slot> old(slots_.size() * 4);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.ngram != 0) slots_[find(slot.key)] = slot;
  }
}

std::vector<std::uint64_t> NgramCounts::matches(
    std::span<const std::vector<std::uint32_t>> others) const {
  std::vector<std::uint32_t> most(count_.size(), 0);
  std::vector<std::uint32_t> here(count_.size());
  std::vector<std::uint32_t> prefix;
  for (const std::vector<std::uint32_t>& other : others) {
    std::ranges::fill(here, 0);
    prefix.assign(other.size(), 0);
    for (std::size_t n = 1; n <= order_; ++n) {
      for (std::size_t i = 0; i + n <= other.size(); ++i) {
        if (prefix[i] == kAbsent) continue;  // nor is any longer one that begins there
        const std::uint32_t ngram = slots_[find(key_of(prefix[i], other[i + n - 1]))].ngram;
        prefix[i] = ngram == 0 ? kAbsent : ngram;
        ++here[ngram];
      }
    }
    for (std::size_t g = 1; g < here.size(); ++g) most[g] = std::max(most[g], here[g]);
  }
  std::vector<std::uint64_t> sums(order_, 0);
  for (std::size_t n = 0; n < order_; ++n) {
    const std::size_t end = n + 1 < order_ ? first_[n + 1] : count_.size();
    for (std::size_t g = first_[n]; g < end; ++g) sums[n] += std::min(count_[g], most[g]);
  }
  return sums;
}

}  // namespace nativo::text
