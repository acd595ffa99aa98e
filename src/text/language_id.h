// Which language a text is written in, by CLD2 (Compact Language Detector 2, 83 languages, n-grams
// of letters and words). Not a judge of quality. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nativo::text {

/// What CLD2 says. Codes are ISO 639-1 where there is one ("it"), with a script where CLD2 needs
/// one
/// ("zh-Hant"); "" when nothing was recognised.
struct LanguageGuess {
  std::string lang;         ///< the most likely language
  double score = 0.0;       ///< share of the text's letters that is in it, 0..1
  bool reliable = false;    ///< CLD2's own word: clearly ahead of the second
  std::string second;       ///< next language, or ""
  double second_score = 0;  ///< its share
  std::int64_t bytes = 0;   ///< bytes of letters that the verdict rests on
};

/// Looks at the prose of `text` (see prose() in text/normalize.h), at most its first MiB.
[[nodiscard]] LanguageGuess identify(std::string_view text);

/// The same for text that is prose already.
[[nodiscard]] LanguageGuess identify_prose(std::string_view prose_text);

}  // namespace nativo::text
