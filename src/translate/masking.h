// Hides what must not change in a sentence behind words, numbers and blanks that Apertium carries
// through, and puts it back. Format of the stream:
// https://wiki.apertium.org/wiki/Apertium_stream_format Rule: what comes back is believed only when
// every unit came back exactly once.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "translate/engine.h"

namespace nativo::translate {

/// How a hidden unit looks to the engine.
enum class UnitKind {
  kWord,    ///< an unknown word: it keeps its place in the sentence's syntax
  kNumber,  ///< a number of eight digits: "90000003"
  kBlank,   ///< a superblank "[..]": punctuation and markup that no grammar should see
};

/// A sentence in Apertium's stream format, and what was hidden.
struct Masked {
  std::string stream;
  std::vector<std::string> units;
  std::vector<UnitKind> kinds;
  std::size_t words = 0;    ///< words left to translate
  std::size_t unknown = 0;  ///< words that no dictionary knew, capitalised names not counted
  bool ok = true;           ///< false: more units than can be numbered, or control characters
};

/// Hides `sentence.parts`, arithmetic around them, and all characters that mean something in the
/// stream.
[[nodiscard]] Masked mask(const Sentence& sentence);

/// Makes of the first pair's answer the second pair's question: words that the first did not know
/// are hidden as they are, its other marks are dropped. `answer` replaces masked.stream.
void remask(Masked& masked, std::string_view answer);

/// Puts everything back. `lookup(word)` may replace a word that the second pair did not know (it
/// gets and gives lower case); "" = keep the word and count it as unknown.
using WordLookup = std::string_view (*)(std::string_view);
[[nodiscard]] Translation unmask(Masked& masked, std::string_view answer, WordLookup lookup);

}  // namespace nativo::translate
