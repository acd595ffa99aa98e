// The pieces of a vocabulary by id and by spelling.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text {

using TokenId = std::int32_t;

/// Ids may have gaps. Spellings and ids are unique. Reading is thread-safe.
class PieceTable {
 public:
  /// Returns false, and adds nothing, when the spelling or the id is taken already.
  bool add(std::string_view piece, TokenId id);

  /// -1 when there is no such piece.
  [[nodiscard]] TokenId find(std::string_view piece) const;
  /// "" for ids that have no piece.
  [[nodiscard]] std::string_view at(TokenId id) const;
  [[nodiscard]] bool contains(TokenId id) const;
  /// Pieces, gaps not counted.
  [[nodiscard]] std::size_t size() const { return count_; }
  /// One more than the largest id.
  [[nodiscard]] TokenId end_id() const { return static_cast<TokenId>(spans_.size()); }

 private:
  struct Span {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    bool used = false;
  };
  void grow();
  [[nodiscard]] std::size_t slot(std::string_view piece) const;

  std::string text_;
  std::vector<Span> spans_;     ///< by id
  std::vector<TokenId> slots_;  ///< open addressing, a power of two; -1 = free
  std::size_t count_ = 0;
};

}  // namespace nativo::text
