// A sentencepiece model behind TokenizerModel (text/tokenizer.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace nativo::text {

/// Loads the bytes of a tokenizer.model. Throws Error(kData) that names `name`.
[[nodiscard]] std::unique_ptr<TokenizerModel> make_sentencepiece_tokenizer(std::string_view bytes,
                                                                           std::string_view name);

}  // namespace nativo::text
