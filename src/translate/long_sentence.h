// Sentences too long for an engine, cut into pieces that it can take. Rule: no cut lies inside a
// protected part; what stands between two pieces is kept.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "translate/engine.h"

namespace nativo::translate {

/// A piece of a sentence and the white space behind it.
struct SentencePiece {
  Sentence sentence;
  std::string behind;
};

/// The pieces of `sentence` that `fits`, in order: cut behind a mark that closes a clause, else
/// between words, near the middle; between letters only in scripts that need no spaces. Nothing
/// when that is not enough, or when there would be more than `most` pieces.
[[nodiscard]] std::optional<std::vector<SentencePiece>> cut_sentence(
    const Sentence& sentence, std::size_t most, const std::function<bool(const Sentence&)>& fits);

}  // namespace nativo::translate
