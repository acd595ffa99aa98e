#include "text/bpe_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "text/byte_alphabet.h"
#include "text/code_point_classes.h"

namespace nativo::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
/// Up to here a scan of all neighbours beats a queue.
constexpr std::size_t kFew = 40;

[[noreturn]] void refuse(std::string_view what) {
  throw Error(ExitCode::kData, fmt::format("model: {}", what), "the file is damaged");
}

std::uint64_t mixed(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15;
  return pair ^ (pair >> 32);
}

}  // namespace

std::vector<TokenId> byte_pieces(const PieceTable& pieces) {
  std::vector<TokenId> ids(256);
  for (std::size_t i = 0; i < 256; ++i) ids[i] = pieces.find(fmt::format("<0x{:02X}>", i));
  return ids;
}

BpeModel::BpeModel(BpeSpec spec) : spec_(std::move(spec)) {
  if (!spec_.unknown.empty()) {
    unknown_ = spec_.pieces.find(spec_.unknown);
    if (unknown_ < 0) {
      refuse(fmt::format("unk_token \"{}\" is no piece", printable(spec_.unknown)));
    }
  }
  if (spec_.byte_fallback) fallback_ = byte_pieces(spec_.pieces);
  if (spec_.byte_level) {
    for (const char32_t letter : byte_letters()) {
      std::string spelled;
      append_utf8(spelled, letter);
      byte_ids_.push_back(spec_.pieces.find(spelled));
    }
    if (spec_.byte_fallback && std::ranges::find(byte_ids_, -1) != byte_ids_.end()) {
      refuse("byte_fallback beside a byte-level vocabulary that lacks bytes is not supported");
    }
  }
  low_letters_.resize(0x800);
  for (char32_t c = 0; c < low_letters_.size(); ++c) {
    std::string spelled;
    append_utf8(spelled, c);
    low_letters_[c] = spec_.pieces.find(spelled);
  }
  read_merges();
  find_words();
}

std::size_t BpeModel::merge_slot(std::uint64_t pair) const {
  const std::size_t mask = merges_.size() - 1;
  std::size_t slot = static_cast<std::size_t>(mixed(pair)) & mask;
  while (merges_[slot].pair != pair && merges_[slot].pair != kNoPair) slot = (slot + 1) & mask;
  return slot;
}

void BpeModel::read_merges() {
  std::size_t slots = 64;
  while (slots < 2 * spec_.merges.size() + 2) slots *= 2;
  merges_.assign(slots, {});
  split_before_metaspace_ = !spec_.byte_level && spec_.subword_prefix.empty() &&
                            spec_.word_suffix.empty() && spec_.pieces.find(kMetaspace) >= 0;
  for (std::size_t rank = 0; rank < spec_.merges.size(); ++rank) {
    const auto& [left, right] = spec_.merges[rank];
    const TokenId left_id = spec_.pieces.find(left);
    const TokenId right_id = spec_.pieces.find(right);
    std::string_view tail = right;
    if (tail.starts_with(spec_.subword_prefix)) tail.remove_prefix(spec_.subword_prefix.size());
    const TokenId merged = spec_.pieces.find(left + std::string(tail));
    if (left_id < 0 || right_id < 0 || merged < 0) {
      refuse(fmt::format("merge {} (\"{}\" and \"{}\") needs a piece that is not in the vocabulary",
                         rank, printable(left), printable(right)));
    }
    const auto index = static_cast<std::size_t>(merged);
    if (merged != unknown_ && index < spec_.special.size() && spec_.special[index]) continue;
    const std::uint64_t pair = pair_of(left_id, right_id);
    merges_[merge_slot(pair)] = {pair, static_cast<std::uint32_t>(rank), merged};
    if (right.starts_with(kMetaspace) && !left.ends_with(kMetaspace)) {
      split_before_metaspace_ = false;
    }
  }
  spec_.merges = {};
}

// Most words of a text are single pieces; whether merging arrives at a piece is known beforehand.
void BpeModel::find_words() {
  if (!spec_.subword_prefix.empty() || !spec_.word_suffix.empty()) return;
  const TokenId end = spec_.pieces.end_id();
  std::vector<std::string> spelled(static_cast<std::size_t>(end));
  std::vector<std::uint8_t> arrives(static_cast<std::size_t>(end), 0);
  constexpr std::size_t kTile = 4096;
  parallel_for((spelled.size() + kTile - 1) / kTile, [&](std::size_t tile) {
    SubwordScratch scratch;
    Subwords subwords;
    for (std::size_t i = tile * kTile; i < std::min(spelled.size(), (tile + 1) * kTile); ++i) {
      const auto id = static_cast<TokenId>(i);
      const std::string_view piece = spec_.pieces.at(id);
      if (piece.empty()) continue;
      if (spec_.byte_level) {
        auto bytes = bytes_of_letters(piece);
        if (!bytes) continue;
        spelled[i] = std::move(*bytes);
      } else {
        spelled[i] = piece;
      }
      const bool special = i < spec_.special.size() && spec_.special[i];
      if (special && !is_letter(id)) continue;
      subwords.resize(0);
      encode_segment(spelled[i], 0, scratch, subwords);
      arrives[i] =
          spec_.ignore_merges || (subwords.ids.size() == 1 && subwords.ids[0] == id) ? 1 : 0;
    }
  });
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    if (arrives[i] == 0) continue;
    if (words_.add(spelled[i], words_.end_id())) word_ids_.push_back(static_cast<TokenId>(i));
  }
}

bool BpeModel::is_letter(TokenId id) const {
  if (spec_.byte_level) return std::ranges::find(byte_ids_, id) != byte_ids_.end();
  const std::string_view piece = spec_.pieces.at(id);
  return !piece.empty() && count_code_points(piece) == 1;
}

void BpeModel::encode(std::string_view piece, SubwordScratch& scratch, Subwords& out) const {
  if (const TokenId word = words_.find(piece); word >= 0) {
    out.add(word_ids_[static_cast<std::size_t>(word)], piece.size());
    return;
  }
  if (!split_before_metaspace_) {
    encode_segment(piece, 0, scratch, out);
    return;
  }
  for (std::size_t start = 0; start < piece.size();) {
    std::size_t end = start;
    while (piece.substr(end).starts_with(kMetaspace)) end += kMetaspace.size();
    end = std::min(piece.find(kMetaspace, end), piece.size());
    const std::string_view segment = piece.substr(start, end - start);
    const TokenId word = spec_.ignore_merges ? -1 : words_.find(segment);
    if (word >= 0) {
      out.add(word_ids_[static_cast<std::size_t>(word)], end);
    } else {
      encode_segment(segment, start, scratch, out);
    }
    start = end;
  }
}

void BpeModel::split_letters(std::string_view segment, std::size_t base,
                             SubwordScratch& scratch) const {
  std::vector<SubwordScratch::Symbol>& symbols = scratch.symbols;
  symbols.clear();
  std::size_t waiting_end = 0;  // of an unknown that may still be fused with the next one
  const auto add = [&](TokenId id, std::size_t end) {
    symbols.push_back({.id = id, .end = static_cast<std::uint32_t>(base + end)});
  };
  const auto settle = [&] {
    if (waiting_end > 0) add(unknown_, waiting_end);
    waiting_end = 0;
  };
  const auto not_found = [&](std::size_t begin, std::size_t end) {
    const std::string_view letter = segment.substr(begin, end - begin);
    if (!fallback_.empty() && !spec_.byte_level && std::ranges::all_of(letter, [&](char c) {
          return fallback_[static_cast<unsigned char>(c)] >= 0;
        })) {
      for (std::size_t i = begin; i < end; ++i) {
        add(fallback_[static_cast<unsigned char>(segment[i])], i + 1);
      }
      return;
    }
    if (unknown_ < 0) return;
    if (!spec_.fuse_unknown) settle();
    waiting_end = end;
  };
  if (spec_.byte_level) {
    for (std::size_t i = 0; i < segment.size(); ++i) {
      const TokenId id = byte_ids_[static_cast<unsigned char>(segment[i])];
      if (id >= 0) {
        settle();
        add(id, i + 1);
      } else {
        not_found(i, i + 1);
      }
    }
    settle();
    return;
  }
  for (std::size_t i = 0; i < segment.size();) {
    const std::size_t start = i;
    const char32_t c = decode_utf8(segment, i);
    const std::string_view letter = segment.substr(start, i - start);
    TokenId id = -1;
    const bool prefixed = start > 0 && !spec_.subword_prefix.empty();
    const bool suffixed = i == segment.size() && !spec_.word_suffix.empty();
    if (prefixed || suffixed) {
      scratch.text = prefixed ? spec_.subword_prefix : std::string();
      scratch.text += letter;
      if (suffixed) scratch.text += spec_.word_suffix;
      id = spec_.pieces.find(scratch.text);
    } else {
      id = c < low_letters_.size() ? low_letters_[c] : spec_.pieces.find(letter);
    }
    if (id >= 0) {
      settle();
      add(id, i);
    } else {
      not_found(start, i);
    }
  }
  settle();
}

void BpeModel::encode_segment(std::string_view segment, std::size_t base, SubwordScratch& scratch,
                              Subwords& out) const {
  split_letters(segment, base, scratch);
  if (scratch.symbols.size() <= kFew) {
    merge_few(scratch, out);
  } else {
    merge_many(scratch, out);
  }
}

void BpeModel::merge_few(SubwordScratch& scratch, Subwords& out) const {
  auto& symbols = scratch.symbols;
  auto& ranks = scratch.ranks;  // of the pair that begins at each symbol
  std::size_t count = symbols.size();
  ranks.assign(count, kNoRank);
  for (std::size_t i = 0; i + 1 < count; ++i) {
    ranks[i] = merge_of(symbols[i].id, symbols[i + 1].id).rank;
  }
  while (count > 1) {
    const auto best = std::min_element(ranks.begin(), ranks.begin() + count - 1);
    if (*best == kNoRank) break;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    symbols[at].id = merge_of(symbols[at].id, symbols[at + 1].id).merged;
    symbols[at].end = symbols[at + 1].end;
    for (std::size_t i = at + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i] = ranks[i + 1];
    }
    --count;
    ranks[at] = at + 1 < count ? merge_of(symbols[at].id, symbols[at + 1].id).rank : kNoRank;
    if (at > 0) ranks[at - 1] = merge_of(symbols[at - 1].id, symbols[at].id).rank;
  }
  for (std::size_t i = 0; i < count; ++i) out.add(symbols[i].id, symbols[i].end);
}

void BpeModel::merge_many(SubwordScratch& scratch, Subwords& out) const {
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;  // rank above, position below: the least is the next
  queue.clear();
  const auto offer = [&](std::int32_t left) {
    const std::int32_t right = symbols[static_cast<std::size_t>(left)].next;
    if (right < 0) return;
    const std::uint32_t rank = merge_of(symbols[static_cast<std::size_t>(left)].id,
                                        symbols[static_cast<std::size_t>(right)].id)
                                   .rank;
    if (rank == kNoRank) return;
    queue.push_back((static_cast<std::uint64_t>(rank) << 32) | static_cast<std::uint32_t>(left));
  };
  const auto push = [&](std::int32_t left) {
    const std::size_t before = queue.size();
    offer(left);
    if (queue.size() > before) std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<std::int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : -1;
  }
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<std::int32_t>(i));
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(queue.back() >> 32);
    const auto at = static_cast<std::int32_t>(queue.back() & 0xFFFFFFFF);
    queue.pop_back();
    auto& left = symbols[static_cast<std::size_t>(at)];
    if (left.id < 0 || left.next < 0) continue;
    auto& right = symbols[static_cast<std::size_t>(left.next)];
    const Merge& merge = merge_of(left.id, right.id);
    if (merge.rank != rank) continue;  // one of the two has been merged since
    left.id = merge.merged;
    left.end = right.end;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
    if (left.previous >= 0) push(left.previous);
    push(at);
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].id >= 0) out.add(symbols[i].id, symbols[i].end);
  }
}

}  // namespace nativo::text
