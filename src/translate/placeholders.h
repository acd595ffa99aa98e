// Protected parts through an engine that rewrites everything: left in place, or hidden behind words
// that engines tend to copy, and in either case believed only when all came back.
// Rule: what is accepted has each part byte for byte, as often as the source, and no further span.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "translate/engine.h"

namespace nativo::translate {

/// What stands for the parts in the engine's text.
enum class Disguise {
  kNone,     ///< the parts themselves: best for names and numbers
  kNumbers,  ///< "701", "702", ...: what models copy best
  kLetters,  ///< "XA", "XB", ...: like a name
  kUnknown,  ///< letters of the private use area: no vocabulary has them, so that "replace unknown"
             ///< copies them
};

/// A sentence for the engine.
struct Disguised {
  std::string text;
  std::vector<std::string> marks;  ///< what stands for part i of the sentence
};

/// Nothing when there are more parts than marks.
[[nodiscard]] std::optional<Disguised> disguise(const Sentence& sentence, Disguise how);

/// Puts the parts back into `translation`, whose own parts they become. Nothing when a mark is lost
/// or came back too often, or when text::verify_protected() finds a span that should not be there.
[[nodiscard]] std::optional<Sentence> undisguise(const Sentence& source, const Disguised& disguised,
                                                 std::string_view translation);

}  // namespace nativo::translate
