// What a translation left in English, seen from the translated text alone.
#pragma once

#include <string_view>

namespace nativo::filter {

/// Share of the words of `prose` that stand in English segments. A segment is a sentence or line;
/// it is English when it has four words or more, at least two of them English function words that
/// no Romance language has ("the", "of", "with"), and fewer of the Italian ones.
[[nodiscard]] double english_share(std::string_view prose);

}  // namespace nativo::filter
