#include "text/piece_table.h"

#include "base/hash.h"

namespace nativo::text {

std::size_t PieceTable::slot(std::string_view piece) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t index = static_cast<std::size_t>(xxh64(piece)) & mask;
  while (slots_[index] >= 0 && at(slots_[index]) != piece) index = (index + 1) & mask;
  return index;
}

void PieceTable::grow() {
  slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, -1);
  for (TokenId id = 0; id < end_id(); ++id) {
    if (contains(id)) slots_[slot(at(id))] = id;
  }
}

bool PieceTable::add(std::string_view piece, TokenId id) {
  if ((count_ + 1) * 2 > slots_.size()) grow();
  const std::size_t index = slot(piece);
  if (slots_[index] >= 0 || contains(id)) return false;
  if (id >= end_id()) spans_.resize(static_cast<std::size_t>(id) + 1);
  spans_[static_cast<std::size_t>(id)] = {static_cast<std::uint32_t>(text_.size()),
                                          static_cast<std::uint32_t>(piece.size()), true};
  text_.append(piece);
  slots_[index] = id;
  ++count_;
  return true;
}

TokenId PieceTable::find(std::string_view piece) const {
  return slots_.empty() ? -1 : slots_[slot(piece)];
}

std::string_view PieceTable::at(TokenId id) const {
  if (!contains(id)) return {};
  const Span& span = spans_[static_cast<std::size_t>(id)];
  return std::string_view(text_).substr(span.offset, span.length);
}

bool PieceTable::contains(TokenId id) const {
  return id >= 0 && id < end_id() && spans_[static_cast<std::size_t>(id)].used;
}

}  // namespace nativo::text
