// "model" of a tokenizer.json: BPE, Unigram or WordPiece.
#pragma once

#include <simdjson.h>

#include <memory>
#include <string_view>
#include <vector>

#include "text/subword_model.h"

namespace nativo::text {

/// What the rest of the file says about the model.
struct HfModelContext {
  bool byte_level = false;    ///< the pre-tokeniser ends in ByteLevel
  std::vector<bool> special;  ///< by id: control tokens, never made from text
};

/// Throws Error(kData) that names `path` and what is unknown, missing or out of bounds: at most
/// 4 M pieces of 4 KiB, and 16 M merges of pieces that are there.
[[nodiscard]] std::unique_ptr<SubwordModel> read_hf_model(simdjson::dom::element json,
                                                          std::string_view path,
                                                          HfModelContext context);

}  // namespace nativo::text
