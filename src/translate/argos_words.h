// A package's sentences as its model's tokens, and back: what Argos Translate's tokenizers do, but
// that "_" stays "_". Not here: the model (generate/translator.h).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "translate/argos_package.h"

namespace nativo::translate {

/// Thread-safe.
class ArgosWords {
 public:
  virtual ~ArgosWords() = default;

  /// Tokens of a sentence (valid UTF-8) in the package's source language.
  [[nodiscard]] virtual std::vector<std::string> encode(std::string_view sentence) const = 0;
  /// Text of tokens in its target language; no white space at its ends.
  [[nodiscard]] virtual std::string decode(std::span<const std::string> tokens) const = 0;
  /// True for a token that begins a word; `before` is the one before it ("" = none).
  [[nodiscard]] virtual bool begins_word(std::string_view before, std::string_view token) const = 0;
};

/// Reads the package's tokenizer. Throws Error(kData) that names the file when it is damaged.
[[nodiscard]] std::unique_ptr<ArgosWords> make_argos_words(const ArgosPackage& package);

}  // namespace nativo::translate
