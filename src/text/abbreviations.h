// Italian and English abbreviations: whether a full stop behind a word ends a sentence. Both
// languages at once, because translated and native texts mix them.
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::text {

/// True when a sentence goes on behind the full stop at byte `dot`; `next` is what follows the
/// white space behind it (to the end of the line).
[[nodiscard]] bool goes_on_after(std::string_view text, std::size_t dot, std::string_view next);

}  // namespace nativo::text
