// A message cut up for an engine: what it translates, and what stays as it is. Rule: the pieces,
// with every sentence's text in its place, are the message, byte for byte.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "translate/engine.h"
#include "translate/prepare.h"

namespace nativo::translate {

/// How finely a message is cut. Coarser reads better, finer loses less.
enum class Grain {
  kMessage,       ///< all of it but the code and white space at its ends
  kParagraphs,    ///< what lies between blank lines and blocks of code
  kSentences,     ///< sentences, list items, table cells
  kBetweenSpans,  ///< only what lies between protected spans, which cannot lose them
};

/// The grain to begin with, and those for messages that came back damaged, one after the other.
[[nodiscard]] std::span<const Grain> grains_of(Unit unit);

/// One piece of a message.
struct Piece {
  std::string_view verbatim;         ///< bytes of the message, when no sentence
  std::optional<Sentence> sentence;  ///< to translate; without a context
};

/// Cuts a prepared message, which must outlive the result. Spans that touch, and a number with its
/// unit, are one part.
[[nodiscard]] std::vector<Piece> cut(const Prepared& message, Grain grain);

/// XXH3-128 of what a sentence's answer depends on: its text, where its parts lie, its context.
[[nodiscard]] std::string memory_key(const Sentence& sentence);

}  // namespace nativo::translate
