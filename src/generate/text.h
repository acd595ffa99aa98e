// Text out of a language model: stop strings, and deltas that can be shown as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/language_model.h"

namespace nativo::generate {

struct TextOptions {
  SamplerOptions sampler;
  std::vector<std::string> stop_strings;  ///< end the text; not part of it. Empty ones are ignored
  std::vector<TokenId> stop_tokens;       ///< the same for tokens, beside the end of sequence
};

struct TextResult {
  std::string text;
  StopReason reason = StopReason::kMaxTokens;
  std::int64_t tokens = 0;  ///< generated, stop strings included
};

/// Called with each new piece of text (never empty, whole characters); false stops.
using OnText = std::function<bool(std::string_view)>;

/// Continues `prompt`. The deltas joined are the result's text: text that may turn out to be the
/// beginning of a stop string is held back until that is decided.
TextResult generate_text(LanguageModel& model, std::span<const TokenId> prompt,
                         const TextOptions& options, const OnText& on_text = {});

}  // namespace nativo::generate
