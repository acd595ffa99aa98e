#include "text/piece_trie.h"

#include <algorithm>

namespace nativo::text {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, TokenId>> pieces) {
  std::sort(pieces.begin(), pieces.end());
  // Breadth first over the sorted pieces: a node is a range of them that share `depth` bytes.
  struct Range {
    std::uint32_t node;
    std::size_t begin, end, depth;
  };
  nodes_.emplace_back();
  std::vector<Range> level = {{0, 0, pieces.size(), 0}};
  while (!level.empty()) {
    std::vector<Range> below;
    for (Range range : level) {
      if (range.begin < range.end && pieces[range.begin].first.size() == range.depth) {
        nodes_[range.node].value = pieces[range.begin].second;
        ++range.begin;
      }
      nodes_[range.node].first = static_cast<std::uint32_t>(nodes_.size());
      for (std::size_t i = range.begin; i < range.end;) {
        const char label = pieces[i].first[range.depth];
        std::size_t end = i + 1;
        while (end < range.end && pieces[end].first[range.depth] == label) ++end;
        below.push_back({static_cast<std::uint32_t>(nodes_.size()), i, end, range.depth + 1});
        nodes_.emplace_back().label = static_cast<std::uint8_t>(label);
        ++nodes_[range.node].count;
        i = end;
      }
    }
    level = std::move(below);
  }
  for (std::uint32_t i = 0; i < nodes_[0].count; ++i) {
    roots_[nodes_[nodes_[0].first + i].label] = nodes_[0].first + i;
  }
}

}  // namespace nativo::text
