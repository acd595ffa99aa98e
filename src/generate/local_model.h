// A language model in this process: a decoder and its tokenizer.
// Rule: short requests are packed as separate documents into one batch; nobody sees a neighbour.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "generate/language_model.h"
#include "model/decode_session.h"
#include "model/decoder.h"

namespace nativo::generate {

/// Owns the decoder. generate() keeps the key/value cache of the last sequence and reuses the part
/// that the next prompt shares with it (equal to a fresh run to rounding), which makes few-shot
/// prompts and chats cheap.
class LocalModel final : public LanguageModel {
 public:
  /// Throws Error(kData) when the tokenizer has more pieces than the decoder has embeddings.
  LocalModel(model::Decoder decoder, text::Tokenizer tokenizer);

  [[nodiscard]] const text::Tokenizer& tokenizer() const override { return tokenizer_; }
  [[nodiscard]] std::int64_t context_length() const override;
  [[nodiscard]] std::vector<Score> score(std::span<const ScoreRequest> requests) override;
  Generation generate(std::span<const TokenId> prompt, const SamplerOptions& options,
                      const OnToken& on_token) override;

 private:
  std::span<const float> prefill(std::span<const TokenId> prompt, std::int64_t capacity);

  model::Decoder decoder_;
  text::Tokenizer tokenizer_;
  std::optional<model::DecodeSession> session_;
  std::vector<TokenId> cached_;  ///< the tokens inside session_
};

/// Loads a Hugging Face directory that holds a tokenizer beside the weights. Errors as in
/// model::load_decoder and text::Tokenizer.
[[nodiscard]] std::unique_ptr<LocalModel> load_local_model(const std::filesystem::path& folder,
                                                           const model::Numbers& numbers = {});

}  // namespace nativo::generate
