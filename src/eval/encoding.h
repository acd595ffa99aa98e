// Context and continuation as token ids, by lm-evaluation-harness's rule (api/model.py,
// _encode_pair).
#pragma once

#include <string_view>
#include <vector>

#include "generate/language_model.h"

namespace nativo::eval {

/// BOS and the ids of `text`; never empty.
[[nodiscard]] std::vector<text::TokenId> encode_prompt(const text::Tokenizer& tokenizer,
                                                       std::string_view text);

/// White space at the end of `context` moves to the continuation; context and context +
/// continuation are both encoded from the start (so sentencepiece's dummy prefix stands only before
/// the context), and the continuation is what follows the context's ids. The continuation has at
/// least one token even where the two encodings merge across the border.
[[nodiscard]] generate::ScoreRequest encode_pair(const text::Tokenizer& tokenizer,
                                                 std::string_view context,
                                                 std::string_view continuation);

}  // namespace nativo::eval
