#include "text/bpe_codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "base/error.h"
#include "base/strings.h"
#include "text/code_point_classes.h"

namespace nativo::text {
namespace {

constexpr std::string_view kEnd = "</w>";
constexpr std::size_t kMaxMerges = 1'000'000;

/// A piece of the word: its bytes, its symbol (-1: none that merges), its neighbours.
struct Piece {
  std::size_t end;
  std::int32_t symbol;
  std::int32_t previous;
  std::int32_t next;
};

/// A merge that was possible when it was seen.
struct Chance {
  std::int32_t rank;
  std::int32_t left;
  std::int32_t left_symbol;
  std::int32_t right_symbol;

  bool operator>(const Chance& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

std::string_view strip_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  while (!line.empty() && (line.front() == '\r' || line.front() == ' ')) line.remove_prefix(1);
  return line;
}

std::uint64_t key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

}  // namespace

BpeCodes::BpeCodes(std::string_view content, std::string_view where) {
  const auto fail = [&](std::size_t line, std::string_view what) {
    throw Error(ExitCode::kData, fmt::format("{}:{}: {}", printable(where), line, what),
                "codes are what subword-nmt's learn_bpe.py writes: two symbols a line");
  };
  while (content.ends_with('\n')) content.remove_suffix(1);
  std::size_t number = 0;
  if (content.starts_with("#version:")) {
    const std::string_view line = content.substr(0, content.find('\n'));
    std::string_view version =
        trim(line.substr(line.rfind(line.find(' ') == line.npos ? ':' : ' ')));
    while (version.ends_with(".0")) version.remove_suffix(2);
    if (version != "0.1" && version != "0.2") fail(1, "is of a version that is not known");
    end_is_a_symbol_ = version == "0.1";
    content.remove_prefix(std::min(line.size() + 1, content.size()));
    number = 1;
  }
  if (content.empty()) return;
  std::int32_t rank = 0;
  for (const std::string_view raw : split(content, '\n')) {
    ++number;
    const std::string_view line = strip_line(raw);
    const std::size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos) {
      fail(number, "is not two symbols with a space between them");
    }
    if (!is_valid_utf8(line)) fail(number, "is not UTF-8");
    if (static_cast<std::size_t>(rank) >= kMaxMerges) fail(number, "is a merge too many");
    const std::int32_t left = intern(std::string(line.substr(0, space)));
    const std::int32_t right = intern(std::string(line.substr(space + 1)));
    const std::int32_t whole =
        intern(std::string(line.substr(0, space)) + std::string(line.substr(space + 1)));
    merges_.try_emplace(key(left, right), Merge{rank++, whole});  // of doubles the first counts
  }
}

std::int32_t BpeCodes::intern(std::string symbol) {
  return ids_.try_emplace(std::move(symbol), static_cast<std::int32_t>(ids_.size())).first->second;
}

std::int32_t BpeCodes::id(std::string_view symbol) const {
  const auto found = ids_.find(std::string(symbol));
  return found == ids_.end() ? -1 : found->second;
}

const BpeCodes::Merge* BpeCodes::find(std::int32_t left, std::int32_t right) const {
  if (left < 0 || right < 0) return nullptr;
  const auto found = merges_.find(key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeCodes::encode(std::string_view word, std::vector<std::string>& out) const {
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    (void)decode_utf8(word, at);
    std::string letter(word.substr(begin, at - begin));
    if (at == word.size() && !end_is_a_symbol_) letter += kEnd;
    const auto index = static_cast<std::int32_t>(pieces.size());
    pieces.push_back({at, id(letter), index - 1, index + 1});
  }
  if (pieces.size() == 1) {
    out.emplace_back(word);
    return;
  }
  if (end_is_a_symbol_) {
    const auto index = static_cast<std::int32_t>(pieces.size());
    pieces.push_back({word.size(), id(kEnd), index - 1, index + 1});
  }
  pieces.back().next = -1;
  const auto piece = [&](std::int32_t i) -> Piece& { return pieces[static_cast<std::size_t>(i)]; };

  std::priority_queue<Chance, std::vector<Chance>, std::greater<>> chances;
  const auto consider = [&](std::int32_t left) {
    if (left < 0 || piece(left).next < 0) return;
    const Piece& right = piece(piece(left).next);
    if (const Merge* merge = find(piece(left).symbol, right.symbol)) {
      chances.push({merge->rank, left, piece(left).symbol, right.symbol});
    }
  };
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) consider(static_cast<std::int32_t>(i));
  std::vector<Chance> round;
  while (!chances.empty()) {
    // One merge at a time, wherever it is possible; what it makes possible waits for the next
    // round.
    round.clear();
    const std::int32_t rank = chances.top().rank;
    for (; !chances.empty() && chances.top().rank == rank; chances.pop()) {
      round.push_back(chances.top());
    }
    for (const Chance& chance : round) {
      Piece& left = piece(chance.left);
      if (left.symbol != chance.left_symbol || left.next < 0) continue;
      Piece& right = piece(left.next);
      if (right.symbol != chance.right_symbol) continue;
      left.symbol = find(left.symbol, right.symbol)->symbol;
      left.end = right.end;
      right.symbol = -1;
      left.next = right.next;
      if (left.next >= 0) piece(left.next).previous = chance.left;
      consider(left.previous);
      consider(chance.left);
    }
  }
  std::size_t begin = 0;
  for (std::int32_t i = 0; i >= 0 && begin < word.size(); i = piece(i).next) {
    const std::size_t end = piece(i).end;
    std::string& text = out.emplace_back(word.substr(begin, end - begin));
    if (end < word.size()) text += kJoint;
    begin = end;
  }
}

}  // namespace nativo::text
