// "post_processor" of a tokenizer.json: the control tokens that stand around a text.
// Not here: pairs of texts, which no decoder asks for.
#pragma once

#include <simdjson.h>

#include <string_view>
#include <vector>

#include "text/piece_table.h"

namespace nativo::text {

struct HfPostProcessor {
  std::vector<TokenId> before = {};
  std::vector<TokenId> after = {};
};

/// TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which adds nothing) and
/// Sequence. Throws Error(kData) that names `path` and what is not known; ids are not checked.
[[nodiscard]] HfPostProcessor read_hf_post_processor(simdjson::dom::element json,
                                                     std::string_view path);

}  // namespace nativo::text
