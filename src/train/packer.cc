#include "train/packer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

// Streams of the seed, so that packing and the epochs' orders are independent.
constexpr std::uint64_t kPackStream = 0x7061636Bu << 8;
constexpr std::uint64_t kEpochStream = 0x65706F63u;

void check_example(const Example& example, std::int64_t vocab_size) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ExitCode::kData, fmt::format("example {}: {}", printable(example.id), reason));
  };
  if (example.tokens.size() != example.loss_mask.size()) {
    fail(fmt::format("{} tokens but a loss mask of {}", example.tokens.size(),
                     example.loss_mask.size()));
  }
  for (const std::int32_t token : example.tokens) {
    if (token < 0 || token >= vocab_size) {
      fail(fmt::format("token {} is outside the vocabulary of {}", token, vocab_size));
    }
  }
}

std::int64_t count_targets(const Example& example, const Piece& piece) {
  const auto first = example.loss_mask.begin() + piece.begin + 1;
  return piece.length - std::count(first, first + piece.length, std::uint8_t{0});
}

// The example's pieces that hold a target.
std::vector<Piece> cut(const Example& example, std::size_t number, std::int64_t seq_len) {
  std::vector<Piece> pieces;
  const auto positions = static_cast<std::int64_t>(example.tokens.size()) - 1;
  for (std::int64_t begin = 0; begin < positions; begin += seq_len) {
    const Piece piece{number, begin, std::min(seq_len, positions - begin)};
    if (count_targets(example, piece) > 0) pieces.push_back(piece);
  }
  return pieces;
}

}  // namespace

Packing pack(std::span<const Example> examples, std::int64_t seq_len, std::int64_t vocab_size,
             std::uint64_t seed) {
  NATIVO_CHECK(seq_len > 0, "rows have a length");
  Packing packing;
  std::set<std::pair<std::int64_t, std::size_t>> open;  // (free positions, row)
  for (const std::size_t number : permutation(examples.size(), seed, kPackStream)) {
    check_example(examples[number], vocab_size);
    const std::vector<Piece> pieces = cut(examples[number], number, seq_len);
    if (pieces.empty()) ++packing.skipped;
    for (const Piece& piece : pieces) {
      packing.targets += count_targets(examples[number], piece);
      packing.positions += piece.length;
      std::size_t row = packing.rows.size();
      if (const auto fit = open.lower_bound({piece.length, 0}); fit != open.end()) {
        row = fit->second;
        open.erase(fit);
      } else {
        packing.rows.emplace_back();
      }
      packing.rows[row].pieces.push_back(piece);
      packing.rows[row].used += piece.length;
      const std::int64_t left = seq_len - packing.rows[row].used;
      if (left > 0) open.insert({left, row});
    }
  }
  return packing;
}

std::vector<std::size_t> row_order(std::size_t rows, std::uint64_t seed, std::uint64_t epoch) {
  return permutation(rows, seed, (kEpochStream << 32) + epoch);
}

model::Batch make_batch(std::span<const Example> examples, std::span<const Row* const> rows,
                        std::int64_t seq_len) {
  std::int64_t longest = 1;
  for (const Row* row : rows) longest = std::max(longest, row->used);
  model::Batch batch;
  batch.rows = static_cast<std::int64_t>(rows.size());
  batch.length = std::min(seq_len, (longest + 63) / 64 * 64);
  const auto cells = static_cast<std::size_t>(batch.rows * batch.length);
  batch.tokens.assign(cells, 0);
  batch.targets.assign(cells, -1);
  batch.positions.assign(cells, 0);
  batch.documents.assign(cells, -1);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::size_t cell = r * static_cast<std::size_t>(batch.length);
    std::int32_t document = 0;
    for (const Piece& piece : rows[r]->pieces) {
      const Example& example = examples[piece.example];
      for (std::int64_t i = 0; i < piece.length; ++i, ++cell) {
        const auto at = static_cast<std::size_t>(piece.begin + i);
        batch.tokens[cell] = example.tokens[at];
        if (example.loss_mask[at + 1] != 0) batch.targets[cell] = example.tokens[at + 1];
        batch.positions[cell] = static_cast<std::int32_t>(i);
        batch.documents[cell] = document;
      }
      ++document;
    }
  }
  return batch;
}

std::int64_t count_targets(std::span<const Example> examples, const Row& row) {
  std::int64_t targets = 0;
  for (const Piece& piece : row.pieces) targets += count_targets(examples[piece.example], piece);
  return targets;
}

}  // namespace nativo::train
