// What stands for a value: placeholders of programs and templates, message formats, JSON. Internal
// to find_spans (text/protected_spans.h).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/protected_spans.h"
#include "text/span_chars.h"

namespace nativo::text {

/// End of the placeholder that begins with the '%' at `i`, or npos: %s, %-5.2f, %1$s, %(name)d,
/// %{name}, %NAME%, %1 (Qt), %%.
[[nodiscard]] std::size_t match_percent(std::string_view text, std::size_t i);

/// End of the placeholder that begins with the '$' or '#' at `i`, or npos: ${x}, $(x), $name, #{x}.
[[nodiscard]] std::size_t match_sigil(std::string_view text, std::size_t i);

/// Looks at '{' and '['; keeps what makes the scan of hostile text linear. One for a text.
class BracketMatcher {
 public:
  /// End of the placeholder ({name}, {{name}}, {% if %}, {0:.2f}, { $x }) or literal ({"a": 1},
  /// [1, 2], ['x']) that begins at `i`, and its kind; or npos.
  [[nodiscard]] std::size_t match(std::string_view text, std::size_t i, SpanKind& kind);

 private:
  std::size_t not_before_ = 0;
  std::size_t no_json_before_ = 0;
};

/// The marks of an ICU message, "{n, plural, one {# file} other {# files}}": "{n, plural, one {",
/// "#",
/// "} other {", "#", "}}", as spans in order; empty when none begins with the '{' at `i`. What is
/// between them is prose.
[[nodiscard]] std::vector<Span> match_message_format(std::string_view text, std::size_t i);

}  // namespace nativo::text
