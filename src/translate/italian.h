// What the way through Spanish leaves behind, put right: Spanish words that the Italian pair does
// not know, doubled spaces, capitals. Rule: only corrections that are right in every sentence.
#pragma once

#include <string>
#include <string_view>

namespace nativo::translate {

/// The Italian for a lower-case Spanish word form that apertium-spa-ita 0.2.1 leaves untranslated,
/// or
/// "". The table holds the most frequent ones of translated English instruction sets.
[[nodiscard]] std::string_view italian_for_spanish(std::string_view word);

/// Puts right, in the Spanish stream, what the Italian pair cannot read ("EE.UU.").
[[nodiscard]] std::string prepare_spanish(std::string_view stream);

/// Spacing, apostrophes, first capital as in `source`, and phrases that are always wrong.
[[nodiscard]] std::string finish_italian(std::string_view source, std::string text);

/// Hash of the table and the phrases: part of the engine's version.
[[nodiscard]] std::string italian_rules_digest();

}  // namespace nativo::translate
