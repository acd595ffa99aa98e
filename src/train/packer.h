// Puts examples of all lengths into rows of one length with little padding, and rows into batches.
// Not here: the order in which rows are trained on (row_order). Rule: every token whose loss mask
// is 1 (but a document's first, which nothing precedes) is the target of exactly one position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "train/example.h"

namespace nativo::train {

/// `length` input positions of example number `example`, from its token `begin` on. Their targets
/// are the tokens begin + 1 .. begin + length.
struct Piece {
  std::size_t example = 0;
  std::int64_t begin = 0;
  std::int64_t length = 0;

  bool operator==(const Piece&) const = default;
};

/// Pieces that share one row of the batch, side by side; they never see each other.
struct Row {
  std::vector<Piece> pieces;
  std::int64_t used = 0;  ///< sum of the pieces' lengths, <= seq_len

  bool operator==(const Row&) const = default;
};

struct Packing {
  std::vector<Row> rows;
  std::int64_t targets = 0;    ///< trained tokens in all rows
  std::int64_t positions = 0;  ///< input positions in all rows, padding not counted
  std::size_t skipped = 0;     ///< examples in which nothing is to be predicted
};

/// Packs `examples` into rows of at most `seq_len` (> 0) positions by best fit, in an order decided
/// by `seed`. An example of n tokens takes n - 1 positions (its last token is only a target). A
/// longer one is cut into pieces of seq_len; the later pieces do not see the earlier ones. Pieces
/// without a target are left out. Throws Error(kData) naming the example when a token is outside
/// [0, vocab_size) or the mask's length differs.
[[nodiscard]] Packing pack(std::span<const Example> examples, std::int64_t seq_len,
                           std::int64_t vocab_size, std::uint64_t seed);

/// The order of epoch `epoch`: a permutation of 0..rows-1 decided by (seed, epoch) alone.
[[nodiscard]] std::vector<std::size_t> row_order(std::size_t rows, std::uint64_t seed,
                                                 std::uint64_t epoch);

/// The batch [rows.size(), T] of these rows. T is the longest row's use, rounded up to a multiple
/// of 64 but not beyond seq_len: what is padding in every row is not computed.
[[nodiscard]] model::Batch make_batch(std::span<const Example> examples,
                                      std::span<const Row* const> rows, std::int64_t seq_len);

/// Number of targets in a row.
[[nodiscard]] std::int64_t count_targets(std::span<const Example> examples, const Row& row);

}  // namespace nativo::train
