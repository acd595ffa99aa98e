#include "text/unigram_model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/code_point_classes.h"

namespace nativo::text {
namespace {

constexpr double kUnknownPenalty = 10.0;

}  // namespace

UnigramModel::UnigramModel(UnigramSpec spec) : spec_(std::move(spec)) {
  if (!spec_.pieces.contains(spec_.unknown)) {
    throw Error(ExitCode::kData, "model: unk_id names no piece",
                "a Unigram model without an unknown piece cannot encode every text");
  }
  std::vector<std::pair<std::string_view, TokenId>> pieces;
  double lowest = 0.0;
  for (TokenId id = 0; id < spec_.pieces.end_id(); ++id) {
    const auto index = static_cast<std::size_t>(id);
    if (!std::isfinite(spec_.scores[index])) {
      throw Error(ExitCode::kData, "model: vocab has a score that is no number");
    }
    lowest = std::min(lowest, spec_.scores[index]);
    const bool special = index < spec_.special.size() && spec_.special[index];
    if (!special && id != spec_.unknown && !spec_.pieces.at(id).empty()) {
      pieces.emplace_back(spec_.pieces.at(id), id);
    }
  }
  unknown_score_ = lowest - kUnknownPenalty;
  trie_ = std::make_unique<PieceTrie>(std::move(pieces));
  if (spec_.byte_fallback) fallback_ = byte_pieces(spec_.pieces);
}

void UnigramModel::push_unknown(std::string_view surface, std::size_t base, Subwords& out) const {
  const bool bytes = !fallback_.empty() && std::ranges::all_of(surface, [&](char c) {
    return fallback_[static_cast<unsigned char>(c)] >= 0;
  });
  if (!bytes) {
    out.add(spec_.unknown, base + surface.size());
    return;
  }
  for (const char c : surface) out.add(fallback_[static_cast<unsigned char>(c)], ++base);
}

void UnigramModel::encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const {
  auto& best = scratch.best;  // best[i]: the best segmentation of the first i bytes
  best.assign(piece.size() + 1, {});
  for (std::size_t start = 0; start < piece.size();) {
    const double score = best[start].score;
    std::size_t letter_end = start;
    static_cast<void>(decode_utf8(piece, letter_end));
    bool letter_known = false;
    const auto offer = [&](std::size_t end, double added, TokenId id) {
      SubwordScratch::Best& there = best[end];
      if (there.start >= 0 && score + added <= there.score) return;
      there = {score + added, static_cast<std::int64_t>(start), id};
    };
    trie_->prefixes(piece.substr(start), [&](std::size_t length, TokenId id) {
      offer(start + length, spec_.scores[static_cast<std::size_t>(id)], id);
      letter_known = letter_known || start + length == letter_end;
    });
    if (!letter_known) offer(letter_end, unknown_score_, spec_.unknown);
    start = letter_end;
  }
  // From the end to the start; kept in what encode() does not need now: `previous` is the start.
  auto& path = scratch.symbols;
  path.clear();
  for (std::size_t end = piece.size(); end > 0;) {
    const SubwordScratch::Best& last = best[end];
    const auto start = static_cast<std::int32_t>(last.start);
    if (last.id == spec_.unknown && !path.empty() && path.back().id == spec_.unknown) {
      path.back().previous = start;
    } else {
      path.push_back({.id = last.id, .previous = start, .end = static_cast<std::uint32_t>(end)});
    }
    end = static_cast<std::size_t>(start);
  }
  for (auto part = path.rbegin(); part != path.rend(); ++part) {
    if (part->id != spec_.unknown) {
      out.add(part->id, part->end);
      continue;
    }
    const auto start = static_cast<std::size_t>(part->previous);
    push_unknown(piece.substr(start, part->end - start), start, out);
  }
}

}  // namespace nativo::text
