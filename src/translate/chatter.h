// Phrases with which language models talk about a text instead of translating it. Data: add a
// phrase to the table, nothing else.
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::translate {

/// How many phrases of the table `translation` has although `source` says nothing that could be
/// translated so: announcements ("Here is the translation:"), remarks about it, refusals, a model
/// that speaks of itself, and quotes or a code fence around the whole that the source does not
/// have.
[[nodiscard]] std::size_t count_chatter(std::string_view source, std::string_view translation);

}  // namespace nativo::translate
