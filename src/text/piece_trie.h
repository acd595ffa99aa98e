// All pieces that a text begins with, in one walk.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/piece_table.h"

namespace nativo::text {

/// A byte trie; immutable, reading is thread-safe.
class PieceTrie {
 public:
  /// Of spellings (not empty, unique) and their values (>= 0).
  explicit PieceTrie(std::vector<std::pair<std::string_view, TokenId>> pieces);

  /// Calls visit(length, value) for each piece that `text` begins with, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, const Visit& visit) const {
    if (text.empty()) return;
    std::uint32_t node = roots_[static_cast<unsigned char>(text[0])];
    for (std::size_t length = 1; node != 0; ++length) {
      if (nodes_[node].value >= 0) visit(length, nodes_[node].value);
      if (length == text.size()) return;
      node = child(node, static_cast<unsigned char>(text[length]));
    }
  }

 private:
  struct Node {
    std::uint32_t first = 0;  ///< of its children, which lie together, labels ascending
    std::uint16_t count = 0;
    std::uint8_t label = 0;
    TokenId value = -1;
  };
  [[nodiscard]] std::uint32_t child(std::uint32_t node, unsigned char label) const {
    std::uint32_t low = nodes_[node].first;
    std::uint32_t count = nodes_[node].count;
    while (count > 4) {
      const std::uint32_t half = count / 2;
      if (nodes_[low + half].label <= label) {
        low += half;
        count -= half;
      } else {
        count = half;
      }
    }
    for (std::uint32_t i = low; i < low + count; ++i) {
      if (nodes_[i].label == label) return i;
    }
    return 0;
  }

  std::array<std::uint32_t, 256> roots_{};
  std::vector<Node> nodes_;  ///< nodes_[0] is the root, and so "none" as a child
};

}  // namespace nativo::text
