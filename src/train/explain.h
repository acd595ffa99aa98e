// What a batch holds, token by token: which are read, which are trained on, where documents begin.
// Rule: told from the very batch that the model gets, not from what it was made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/example.h"
#include "train/packer.h"

namespace nativo::train {

struct ExplainedToken {
  std::int32_t id = 0;
  std::int32_t position = -1;  ///< inside the document, for RoPE; -1 = never read, only predicted
  bool trained = false;        ///< the target of the token before it
};

/// A document, or the piece of a long one, in a row. Its last token is only a target.
struct ExplainedDocument {
  std::string id;
  std::string source;
  std::string lang;
  std::int64_t begin = 0;   ///< of the piece in the example's tokens
  std::int64_t length = 0;  ///< of the whole example
  std::int64_t trained = 0;
  std::vector<ExplainedToken> tokens;
};

struct ExplainedRow {
  std::int64_t length = 0;  ///< T of the batch
  std::int64_t used = 0;    ///< positions that are no padding
  std::int64_t trained = 0;
  std::vector<ExplainedDocument> documents;
};

/// The batch of `rows`, as make_batch() makes it.
[[nodiscard]] std::vector<ExplainedRow> explain_rows(std::span<const Example> examples,
                                                     std::span<const Row* const> rows,
                                                     std::int64_t seq_len);

/// {"length", "used", "trained", "documents": [{"id", "source", "lang", "begin", "length",
/// "trained", "tokens": [..], "positions": [..], "mask": [..]}]}; positions are null where there is
/// none.
[[nodiscard]] Json to_json(const ExplainedRow& row);

}  // namespace nativo::train
