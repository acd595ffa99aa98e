// Tokens in, translations out: a CTranslate2 model, many sentences at once. Not here: cutting text
// into tokens and sentences.
// Rule: a sentence's translation, to the last bit of its score, depends on that sentence, the model
// and the options alone: not on the sentences beside it, their order, or the number of threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/beam_search.h"
#include "model/encoder_decoder.h"

namespace nativo::generate {

struct TranslationRequest {
  std::vector<std::string> source;
  std::vector<std::string> prefix;  ///< target tokens that the translation begins with
};

struct TranslatedTokens {
  std::vector<std::string> tokens;  ///< the prefix included
  float score = 0.0F;               ///< 0 when scores were not computed
};

class Translator {
 public:
  /// Reads the model in `folder`. Errors as read_ctranslate2_directory and load_encoder_decoder.
  Translator(const std::filesystem::path& folder, model::ComputeType compute);
  ~Translator();
  Translator(const Translator&) = delete;
  Translator& operator=(const Translator&) = delete;

  [[nodiscard]] const model::EncoderDecoder& network() const { return network_; }
  /// True for a token of the vocabulary.
  [[nodiscard]] bool source_has(std::string_view token) const;
  [[nodiscard]] bool target_has(std::string_view token) const;
  [[nodiscard]] bool has_vocabulary_map() const { return directory_.map != nullptr; }

  /// One list a request, in order: at most num_hypotheses translations, best first. An empty source
  /// has the prefix as its translation. About `rows` hypotheses are computed at a time by each
  /// thread. With `shortlist`, target tokens are those of the model's vocabulary map.
  /// Throws Error(kData) naming the request (from 1) when a source is longer than the model has
  /// positions, or a prefix is missing where the model wants one.
  [[nodiscard]] std::vector<std::vector<TranslatedTokens>> translate(
      std::span<const TranslationRequest> requests, const BeamSearchOptions& options,
      bool shortlist = false, std::int64_t rows = 64) const;

 private:
  class Worker;
  struct Job;

  [[nodiscard]] Job make_job(const TranslationRequest& request, std::size_t number,
                             const BeamSearchOptions& options, bool shortlist) const;

  model::CTranslate2Directory directory_;
  model::EncoderDecoder network_;
  std::int32_t end_ = 0;
};

}  // namespace nativo::generate
