// What every translation engine offers. The stage (translate_stage.h) knows nothing of any engine
// but this; it checks what comes back and never trusts it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace nativo::translate {

/// Bytes [begin, end) of a sentence that must come back unchanged.
struct Part {
  std::size_t begin;
  std::size_t end;
  bool number;  ///< a count ("12 days"), as opposed to a name or a piece of code
  bool operator==(const Part&) const = default;
};

/// One sentence to translate: valid UTF-8, no line breaks at its ends.
struct Sentence {
  std::string text;
  std::vector<Part> parts;  ///< in order, not overlapping
};

/// What an engine made of it.
struct Translation {
  std::string text;         ///< meaningless when !ok
  std::size_t words = 0;    ///< words that the engine was asked to translate
  std::size_t unknown = 0;  ///< of these, words it did not know
  bool ok = false;          ///< false when the engine lost or doubled a part, or gave no answer
};

class TranslationEngine {
 public:
  virtual ~TranslationEngine() = default;

  /// One translation a sentence, in order. The answer for a sentence depends on that sentence
  /// alone. Throws Error when the engine cannot be brought to work.
  [[nodiscard]] virtual std::vector<Translation> translate(std::span<const Sentence> sentences) = 0;

  [[nodiscard]] virtual std::string name() const = 0;
  /// Names programs and data: equal versions give equal translations.
  [[nodiscard]] virtual std::string version() const = 0;
};

}  // namespace nativo::translate
