#include "text/word_piece_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::text {

WordPieceModel::WordPieceModel(WordPieceSpec spec) : spec_(std::move(spec)) {
  unknown_ = spec_.pieces.find(spec_.unknown);
  if (unknown_ < 0) {
    throw Error(ExitCode::kData,
                fmt::format("model: unk_token \"{}\" is no piece", printable(spec_.unknown)),
                "a WordPiece model without an unknown piece cannot encode every text");
  }
  std::vector<std::pair<std::string_view, TokenId>> beginnings;
  std::vector<std::pair<std::string_view, TokenId>> continuations;
  for (TokenId id = 0; id < spec_.pieces.end_id(); ++id) {
    std::string_view piece = spec_.pieces.at(id);
    const auto index = static_cast<std::size_t>(id);
    const bool special = index < spec_.special.size() && spec_.special[index];
    if (piece.empty() || special) continue;
    beginnings.emplace_back(piece, id);
    if (piece.starts_with(spec_.subword_prefix)) {
      piece.remove_prefix(spec_.subword_prefix.size());
      if (!piece.empty()) continuations.emplace_back(piece, id);
    }
  }
  beginnings_ = std::make_unique<PieceTrie>(std::move(beginnings));
  continuations_ = std::make_unique<PieceTrie>(std::move(continuations));
}

void WordPieceModel::encode(std::string_view piece, SubwordScratch& /*scratch*/,
                            Subwords& out) const {
  if (count_code_points(piece) > spec_.max_letters) {
    out.add(unknown_, piece.size());
    return;
  }
  const std::size_t before = out.ids.size();
  for (std::size_t start = 0; start < piece.size();) {
    const PieceTrie& trie = start == 0 ? *beginnings_ : *continuations_;
    std::size_t longest = 0;
    TokenId id = -1;
    trie.prefixes(piece.substr(start), [&](std::size_t length, TokenId found) {
      longest = length;
      id = found;
    });
    if (id < 0) {
      out.resize(before);
      out.add(unknown_, piece.size());
      return;
    }
    start += longest;
    out.add(id, start);
  }
}

}  // namespace nativo::text
