// Formulas, and what a backslash begins. Internal to find_spans (text/protected_spans.h).
#pragma once

#include "text/protected_spans.h"
#include "text/span_chars.h"

namespace nativo::text {

/// End of the formula that begins with the '$' at `i`, or npos; prices are not formulas.
[[nodiscard]] std::size_t match_dollar_math(std::string_view text, std::size_t i, FarSearch& far);

/// End of what begins with the backslash at `i`, and its kind: \(..\), \[..\], \begin{x}..\end{x},
/// a LaTeX command with its arguments, or an escape (\n, \", \u00e8, \_); npos when it is none.
[[nodiscard]] std::size_t match_backslash(std::string_view text, std::size_t i, FarSearch& far,
                                          SpanKind& kind);

}  // namespace nativo::text
