// A Hugging Face tokenizer.json behind TokenizerModel (text/tokenizer.h): added tokens, normaliser,
// pre-tokeniser, model, post-processor and decoder, as huggingface/tokenizers 0.23 runs them.
// Rule: a component that is not known is refused by name; nothing is skipped that would change ids.
#pragma once

#include <memory>
#include <string_view>

#include "text/tokenizer.h"

namespace nativo::text {

/// The largest published tokenizer.json (Gemma 3) has 34 MB.
inline constexpr std::size_t kMaxTokenizerJsonBytes = std::size_t{128} << 20;

/// Reads kHfTokenizerFile of `files`. "truncation" and "padding" are not applied. Throws
/// Error(kData) that names `name` and the key.
[[nodiscard]] std::unique_ptr<TokenizerModel> make_hf_tokenizer(const TokenizerFiles& files,
                                                                std::string_view name);

}  // namespace nativo::text
