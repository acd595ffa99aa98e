// What evaluation, chat and servers ask of a language model: how likely is this text, and what
// comes next. Not here: a model that does it (generate/local_model.h) and text in place of token
// ids (generate/text.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "generate/sampler.h"
#include "text/tokenizer.h"

namespace nativo::generate {

using text::TokenId;

/// "How likely is `continuation` after `context`?" The context holds at least one token (BOS).
struct ScoreRequest {
  std::vector<TokenId> context;
  std::vector<TokenId> continuation;
};

struct Score {
  double log_prob = 0.0;               ///< sum of the continuation's log-probabilities (nats)
  bool greedy = true;                  ///< greedy decoding would have produced the continuation
  std::vector<float> token_log_probs;  ///< one a token of the continuation
};

/// Why a generation ended.
enum class StopReason {
  kEndOfSequence,  ///< the model said so
  kStopString,     ///< a stop string or stop token came (generate/text.h)
  kMaxTokens,      ///< SamplerOptions::max_tokens reached
  kContextFull,    ///< the context window is full
  kCaller,         ///< the callback returned false
};

struct Generation {
  std::vector<TokenId> tokens;  ///< without the end-of-sequence token
  StopReason reason = StopReason::kMaxTokens;
};

/// Called with each new token; false stops the generation (the token is kept).
using OnToken = std::function<bool(TokenId)>;

/// A model with its tokenizer. One thread drives it.
class LanguageModel {
 public:
  LanguageModel() = default;
  virtual ~LanguageModel() = default;
  LanguageModel(const LanguageModel&) = delete;
  LanguageModel& operator=(const LanguageModel&) = delete;

  [[nodiscard]] virtual const text::Tokenizer& tokenizer() const = 0;

  /// Most tokens that the model sees at once (prompt and answer together).
  [[nodiscard]] virtual std::int64_t context_length() const = 0;

  /// One score a request, in order. Contexts too long for the window lose tokens at their
  /// beginning, as in lm-evaluation-harness. Throws Error(kData) for a continuation longer than the
  /// window. Invariant (tested): a request scored among others = scored alone, to rounding.
  [[nodiscard]] virtual std::vector<Score> score(std::span<const ScoreRequest> requests) = 0;

  /// Continues `prompt` (not empty) until one of the StopReasons. The same prompt, options and seed
  /// give the same tokens. Throws Error(kData) when the prompt fills the window.
  virtual Generation generate(std::span<const TokenId> prompt, const SamplerOptions& options,
                              const OnToken& on_token) = 0;
};

}  // namespace nativo::generate
