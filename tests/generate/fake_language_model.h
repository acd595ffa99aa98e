// A language model that says what the test wants. Text in, text out; the tokenizer is real.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "generate/language_model.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace nativo::generate {

/// A small tokenizer with chat pieces, trained once a process.
inline text::Tokenizer test_tokenizer() {
  static const std::string model = [] {
    const std::string book =
        io::read_file(std::filesystem::path(NATIVO_TEST_DATA) / "text" / "pinocchio.txt");
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < book.size();) {
      const std::size_t end = std::min(book.find('\n', at), book.size());
      if (end > at) lines.push_back(book.substr(at, end - at));
      at = end + 1;
    }
    return text::train_tokenizer(lines, 600, {"[INST]", "[/INST]"});
  }();
  return text::Tokenizer::from_bytes(model, "test tokenizer");
}

class FakeLanguageModel final : public LanguageModel {
 public:
  explicit FakeLanguageModel(std::int64_t context_length = 4096)
      : tokenizer_(test_tokenizer()), context_length_(context_length) {}

  /// Log-probability of a continuation after a context; from -0.5 on it counts as greedy.
  std::function<double(const std::string& context, const std::string& continuation)> likes =
      [](const std::string&, const std::string&) { return -1.0; };
  /// What is said after a prompt, and how a token goes out.
  std::function<std::string(const std::string& prompt)> reply = [](const std::string&) {
    return std::string("Non lo so.");
  };

  std::vector<std::string> contexts;        ///< of all scored requests
  std::vector<std::string> prompts;         ///< of all generations
  std::vector<SamplerOptions> samplers;     ///< of all generations
  std::vector<std::size_t> prompt_lengths;  ///< in tokens

  [[nodiscard]] const text::Tokenizer& tokenizer() const override { return tokenizer_; }
  [[nodiscard]] std::int64_t context_length() const override { return context_length_; }

  [[nodiscard]] std::vector<Score> score(std::span<const ScoreRequest> requests) override {
    std::vector<Score> scores;
    for (const ScoreRequest& request : requests) {
      contexts.push_back(tokenizer_.decode(request.context));
      // Decoded behind its context, so that a leading space is seen.
      std::vector<TokenId> whole = request.context;
      whole.insert(whole.end(), request.continuation.begin(), request.continuation.end());
      const std::string continuation = tokenizer_.decode(whole).substr(contexts.back().size());
      const double log_prob = likes(contexts.back(), continuation);
      scores.push_back({.log_prob = log_prob, .greedy = log_prob >= -0.5, .token_log_probs = {}});
    }
    return scores;
  }

  Generation generate(std::span<const TokenId> prompt, const SamplerOptions& options,
                      const OnToken& on_token) override {
    prompts.push_back(tokenizer_.decode(prompt));
    samplers.push_back(options);
    prompt_lengths.push_back(prompt.size());
    Generation generation{.tokens = {}, .reason = StopReason::kEndOfSequence};
    for (const TokenId id : tokenizer_.encode(reply(prompts.back()))) {
      if (std::ssize(generation.tokens) == options.max_tokens) {
        generation.reason = StopReason::kMaxTokens;
        break;
      }
      generation.tokens.push_back(id);
      if (on_token && !on_token(id)) {
        generation.reason = StopReason::kCaller;
        break;
      }
    }
    return generation;
  }

 private:
  text::Tokenizer tokenizer_;
  std::int64_t context_length_;
};

}  // namespace nativo::generate
